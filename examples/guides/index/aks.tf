data "azurerm_kubernetes_cluster" "compute" {
  name                = "compute"
  resource_group_name = "compute"
}

provider "brane" {
  kubernetes = {
    host                   = data.azurerm_kubernetes_cluster.compute.kube_config[0].host
    cluster_ca_certificate = base64decode(data.azurerm_kubernetes_cluster.compute.kube_config[0].cluster_ca_certificate)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "kubelogin"
      args        = ["get-token", "--login", "azurecli", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"] # the ID of AKS in every tenant
    }
  }
}
