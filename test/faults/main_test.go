package faults_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

func TestMain(m *testing.M) { acctest.Main(m) }
