// Package files keeps trees of files in Redis: content-addressed chunks, immutable layers, one commit a step.
//
// A reader sees a whole layer or none, and a step's first commit stands. All keys of a run share one deadline, after which
// Redis drops them; what [Store.Keep] keeps has none. The keys and the manifest are laid out in the guide
// "Format of the file layer", precisely enough for a second implementation.
//
// The package knows nothing of Kubernetes and Terraform: it gets a Redis client and a run id. It never prints: it returns
// what a user should read, and no error holds a password.
package files
