// Package files stores trees of files in Redis.
//
// A file is cut into chunks, which are stored under their SHA-256. A layer is one stored tree: its manifest lists the entries and their
// chunks, and its id is a digest. A step commits its layer with one record. A reader sees a whole layer or none, and the first commit of a
// step wins. All keys of a run share one deadline, after which Redis deletes them; what [Store.Keep] keeps has none. The guide
// "Redis data format" specifies the keys and the manifest for a second implementation.
//
// The package does not know Kubernetes or Terraform: it takes a Redis client and a run id. It never prints, it returns errors for the user,
// and no error contains a password.
package files
