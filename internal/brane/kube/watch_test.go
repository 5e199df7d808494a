package kube_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// A watch that is never answered ends with an error, and one that was answered lasts without events.
func TestWatchIsAnswered(t *testing.T) {
	for name, isAnswered := range map[string]bool{"answered": true, "never answered": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := kube.New(&rest.Config{Host: "https://203.0.113.7", Transport: transport(func(r *http.Request) (*http.Response, error) {
					if !isAnswered {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					events, ended := io.Pipe()
					go func() {
						<-r.Context().Done()
						_ = ended.Close() // never fails
					}()
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: events, Request: r}, nil
				})})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				watched, err := client.Watch(t.Context(), &corev1.PodList{}, "ns", metav1.ListOptions{})
				if !isAnswered {
					if err == nil || !strings.Contains(err.Error(), "the API server did not answer within 1m5s") || time.Since(began) > 2*time.Minute {
						t.Errorf("after %s: %v", time.Since(began), err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				select {
				case event := <-watched.ResultChan():
					t.Errorf("it ends after %s: %v", time.Since(began), event)
				case <-time.After(time.Hour):
				}
				watched.Stop()
				<-watched.ResultChan()
			})
		})
	}
}
