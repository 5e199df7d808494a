import {
  to = brane_infrastructure.compute
  identity = {
    name = "compute"
  }
}
