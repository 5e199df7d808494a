node=$(kubectl get nodes -o jsonpath='{.items[0].metadata.name}')
kubectl label node "$node" accelerator=a100 --overwrite
kubectl patch node "$node" --subresource=status --type=merge -p '{"status":{"capacity":{"nvidia.com/gpu":"8"},"allocatable":{"nvidia.com/gpu":"8"}}}'
