variable "tools_image" {
  description = "Image with a shell that the cluster's nodes can pull."
  type        = string
  default     = "busybox:1.37"
}

variable "registry" {
  description = "host:port of the Brane instance's registry. Unused without a Brane instance."
  type        = string
  default     = "198.51.100.10:50050"
}

variable "callback_to" {
  description = "URL of the Brane instance's callback service. Unused without a Brane instance."
  type        = string
  default     = "http://198.51.100.10:50052"
}
