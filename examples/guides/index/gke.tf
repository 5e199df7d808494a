data "google_container_cluster" "compute" {
  name     = "compute"
  location = "europe-west4"
}

provider "brane" {
  kubernetes = {
    host                   = "https://${data.google_container_cluster.compute.endpoint}"
    cluster_ca_certificate = base64decode(data.google_container_cluster.compute.master_auth[0].cluster_ca_certificate)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "gke-gcloud-auth-plugin"
    }
  }
}
