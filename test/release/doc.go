// Package release tests the files that a release publishes (make test-release): their checksums, signature and bills of materials, that building them again
// results in the same files, and that Terraform and OpenTofu install and use them.
package release
