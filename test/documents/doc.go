// Package documents tests the documentation, links between pages and tables that list what is defined in the code, and the files for GitHub.
package documents
