# What the manual procedure has left: a namespace, a service account with a role, and a location with its token.
kubectl create namespace brane-imaging
kubectl -n brane-imaging create serviceaccount brane-old
kubectl -n brane-imaging create role brane-old --verb=create --resource=jobs
kubectl -n brane-imaging create rolebinding brane-old --role=brane-old --serviceaccount=brane-imaging:brane-old
server=$(kubectl config view --raw --minify --output='jsonpath={.clusters[0].cluster.server}')
ca=$(kubectl config view --raw --minify --output='jsonpath={.clusters[0].cluster.certificate-authority-data}')
token=$(kubectl -n brane-imaging create token brane-old)
cat >old.yml <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "$server", certificate-authority-data: "$ca"}}]
users: [{name: u, user: {token: "$token"}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: brane-imaging}}]
current-context: x
END
cat >/srv/brane/config/infra.yml <<END
locations:
  imaging:
    kind: kube
    address: ${server#https://}
    callback_to: http://198.51.100.10:50052
    namespace: brane-imaging
    registry: 198.51.100.10:50050
    credentials:
      mechanism: config
      file: s\$old
END
echo "old: $(base64 -w0 old.yml)" >/srv/brane/config/secrets.yml
rm old.yml
