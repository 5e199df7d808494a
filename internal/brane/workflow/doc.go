// Package workflow describes runs: a run executes a graph of containers on a cluster. Each step is a Job. The files of a step are committed
// to Redis atomically, and only the commit decides whether a step is done. Jobs and Pods show why a step is not done.
//
// The package contains what a run consists of and what it results in, as values. It connects to nothing: its subpackages create the Jobs,
// read and write the run's record, read its results, and execute it.
package workflow
