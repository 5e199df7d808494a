// Package disturb disturbs programs that use an API server and a Redis, for tests and for `make soak`: proxies in front of both, and the processes of a CLI. It
// needs no testing.T, and changes nothing in the servers themselves, so that several programs can use them concurrently.
package disturb
