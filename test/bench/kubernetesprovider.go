package main

// kubernetesProvider is the name of the peer that manages the same objects.
const kubernetesProvider = "hashicorp/kubernetes"

// peerNamespaceConfiguration has the same objects as a brane_namespace of namespaceConfiguration.
const peerNamespaceConfiguration = peerProviderConfiguration + `
variable "namespaces" { type = number }

resource "kubernetes_namespace_v1" "bench" {
  count = var.namespaces

  metadata {
    name = "` + prefix + `kubernetes-${count.index}"
  }
}

resource "kubernetes_service_account_v1" "bench" {
  count = var.namespaces

  metadata {
    name      = "brane"
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
}

resource "kubernetes_role_v1" "bench" {
  count = var.namespaces

  metadata {
    name      = "brane"
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
  rule {
    api_groups = ["batch"]
    resources  = ["jobs"]
    verbs      = ["create"]
  }
}

resource "kubernetes_role_binding_v1" "bench" {
  count = var.namespaces

  metadata {
    name      = "brane"
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role_v1.bench[count.index].metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = kubernetes_service_account_v1.bench[count.index].metadata[0].name
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
}

resource "kubernetes_resource_quota_v1" "bench" {
  count = var.namespaces

  metadata {
    name      = "brane"
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
  spec {
    hard = { "count/jobs.batch" = "100", "requests.cpu" = "4" }
  }
}

resource "kubernetes_limit_range_v1" "bench" {
  count = var.namespaces

  metadata {
    name      = "brane"
    namespace = kubernetes_namespace_v1.bench[count.index].metadata[0].name
  }
  spec {
    limit {
      type            = "Container"
      default         = { memory = "256Mi" }
      default_request = { cpu = "100m" }
    }
  }
}
`

const peerProviderConfiguration = `
terraform {
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}

provider "kubernetes" {
  host                   = %q
  cluster_ca_certificate = %q
}
`

// peerProvider returns the hashicorp/kubernetes provider.
func (o options) peerProvider() provider {
	return provider{kubernetesProvider, o.peers[kubernetesProvider]}
}
