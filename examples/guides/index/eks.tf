data "aws_eks_cluster" "compute" {
  name = "compute"
}

provider "brane" {
  kubernetes = {
    host                   = data.aws_eks_cluster.compute.endpoint
    cluster_ca_certificate = base64decode(data.aws_eks_cluster.compute.certificate_authority[0].data)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", "compute"]
    }
  }
}
