variable "tools_image" {
  description = "An image with a shell, which the cluster's nodes can pull."
  type        = string
  default     = "busybox:1.37"
}

variable "registry" {
  description = "host:port of the registry from which a Brane instance would let its packages be pulled."
  type        = string
  default     = "198.51.100.10:50050"
}

variable "callback_to" {
  description = "URL at which a Brane instance would be called back by its Jobs."
  type        = string
  default     = "http://198.51.100.10:50052"
}
