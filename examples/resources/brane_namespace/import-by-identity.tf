import {
  to = brane_namespace.compute
  identity = {
    name = "brane"
  }
}
