variable "namespace" {
  description = "Name of the namespace."
  type        = string
}

variable "cluster" {
  description = "Key of clusters in the provider block. Null for the cluster of kubernetes."
  type        = string
  default     = null
}

variable "redis_cidrs" {
  description = "Address ranges of Redis, as the pods reach it. Pods can connect to these and to DNS, and to nothing else."
  type        = set(string)
}

variable "redis_port" {
  description = "Port of Redis."
  type        = number
  default     = 6379
}

variable "quota" {
  description = "Resource quota of the namespace."
  type        = map(string)
  default     = { pods = "50", "requests.cpu" = "8", "requests.memory" = "32Gi" }
}

variable "brane" {
  description = "Registration with a Brane instance. Null if there is none: the namespace then rejects privileged pods, which only Brane's own Jobs need."
  type        = object({ name = string, registry = string, callback_to = string, callback_cidrs = set(string) })
  default     = null
}
