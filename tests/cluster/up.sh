#!/usr/bin/env bash
# up.sh [NODES=1]: a control plane in the root namespaces, and NODES nodes, each in namespaces of its own. A cluster that is up
# goes down first. Set in the environment, if at all:
#   NODE_GRACE=50    seconds of silence after which a node is NotReady
#   TOLERATION=300   seconds that pods stay on such a node before they are evicted
#   QPS=200          requests a second the controllers and the scheduler may make
#   AUDIT_POLICY     a file, instead of audit.yaml
# (50, 300 and a QPS of 20 are Kubernetes's own; NODE_GRACE=8 TOLERATION=5 makes tests quick.)
. "$(dirname "$0")/lib.sh"
nodes=${1:-1} grace=${NODE_GRACE:-50} toleration=${TOLERATION:-300} qps=${QPS:-200}
lease=$((grace < 40 ? grace : 40)) period=$((grace < 25 ? (grace + 4) / 5 : 5)) # a kubelet renews its lease 4 times in it
evictions=$([ "$grace" -lt 50 ] && echo 10 || echo 0.1)                        # nodes a second
audit=$(realpath "${AUDIT_POLICY:-$HERE/audit.yaml}")
began=$(date +%s%N)
case $nodes in '' | *[!0-9]*) die "usage: up.sh [NODES]" ;; esac
problem=$("$HERE/possible.sh") || die "$problem"
[ -x "$BIN/kube-apiserver" ] || die "run build.sh first"
[ -f "$IMAGES/pause.tar" ] || die "run images.sh first"
"$HERE/down.sh"
mkdir -p "$RUN"/{pki,log,etcd}
modprobe -qa overlay br_netfilter 2>/dev/null || true # may be built in
cgroup_prepare
cgroup_make control-plane
# What kubelet sets for the whole machine; down.sh sets it back.
sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes \
    >"$RUN/sysctl"
cd "$RUN/pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
authority() {
    key "$1"
    openssl req -x509 -new -key "$1.key" -out "$1.crt" -days 3650 -subj "/CN=$1"
}
certificate() { # NAME SUBJECT [ALTERNATIVE-NAMES [AUTHORITY]]
    key "$1"
    openssl req -new -key "$1.key" -subj "$2" |
        openssl x509 -req -CA "${4:-ca}.crt" -CAkey "${4:-ca}.key" -set_serial "0x$(openssl rand -hex 8)" -days 3650 -out "$1.crt" \
            -extfile <(printf 'keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}") 2>/dev/null
}
kubeconfig() { # NAME FILE: for the certificate NAME
    cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: histrio, cluster: {server: "https://$API_IP:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: histrio, context: {cluster: histrio, user: $1}}]
current-context: histrio
YAML
    chmod 600 "$2"
}
identities() {
    local name
    authority ca
    authority front-ca
    key accounts
    openssl ec -in accounts.key -pubout -out accounts.pub 2>/dev/null
    name=kubernetes.default.svc.cluster.local
    certificate apiserver /CN=kube-apiserver \
        "IP:$API_IP,IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:${name%%.svc*},DNS:${name%%.cluster*},DNS:$name"
    certificate admin /O=system:masters/CN=admin
    certificate front /CN=front-proxy-client "" front-ca
    for name in controller-manager scheduler kube-proxy; do certificate "$name" "/CN=system:kube-${name#kube-}"; done
    certificate coredns /O=system:masters/CN=coredns
    for name in controller-manager scheduler kube-proxy coredns; do kubeconfig "$name" "$RUN/$name.kubeconfig"; done
    kubeconfig admin "$ADMIN_KUBECONFIG"
}

# The wire all nodes hang on; its address in the root namespaces is the API server's.
wire() {
    local node
    ip link add "$BRIDGE" type bridge
    ip addr add "$API_IP/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
    for node in $(seq "$nodes"); do ip route add "10.244.$node.0/24" via "$(node_ip "$node")"; done
}

apiserver() {
    daemon apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=0.0.0.0 \
        --advertise-address="$API_IP" --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key --client-ca-file=ca.crt \
        --kubelet-client-certificate=admin.crt --kubelet-client-key=admin.key --kubelet-preferred-address-types=InternalIP \
        --service-account-key-file=accounts.pub --service-account-signing-key-file=accounts.key \
        --service-account-issuer=https://kubernetes.default.svc --requestheader-client-ca-file=front-ca.crt \
        --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
        --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file=front.crt --proxy-client-key-file=front.key --enable-aggregator-routing=true \
        --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --allow-privileged=true --audit-log-path="$RUN/log/audit.log" --audit-policy-file="$audit" \
        --default-not-ready-toleration-seconds="$toleration" --default-unreachable-toleration-seconds="$toleration"
}
controllers() {
    local rate=(--kube-api-qps="$qps" --kube-api-burst="$qps" --leader-elect=false)
    daemon controller-manager kube-controller-manager --kubeconfig="$RUN/controller-manager.kubeconfig" --controllers='*' \
        --use-service-account-credentials --service-account-private-key-file=accounts.key --root-ca-file=ca.crt \
        --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key --cluster-cidr=10.244.0.0/16 \
        --node-monitor-grace-period="${grace}s" --node-monitor-period="${period}s" --node-eviction-rate="$evictions" "${rate[@]}"
    daemon scheduler kube-scheduler --kubeconfig="$RUN/scheduler.kubeconfig" "${rate[@]}"
    sed "s|@DNS@|$DNS_IP|; s|@RUN@|$RUN|" "$HERE/coredns/Corefile" >"$RUN/Corefile"
    daemon coredns coredns -conf "$RUN/Corefile"
}

node_files() {
    local node=$1 folder=$RUN/node$1 file
    mkdir -p "$folder"/{disk,log,cni}
    certificate "node$node" "/O=system:nodes/CN=system:node:node$node" "DNS:node$node,IP:$(node_ip "$node")"
    kubeconfig "node$node" "$folder/kubelet.kubeconfig"
    cp "$RUN/kube-proxy.kubeconfig" "$folder/"
    for file in containerd.toml kubelet.yaml kube-proxy.yaml cni/10-bridge.conflist; do
        sed "s|@N@|$node|g; s|@FOLDER@|$folder|g; s|@PKI@|$RUN/pki|g; s|@DNS@|$DNS_IP|g; s|@LEASE@|$lease|g" \
            "$HERE/node/${file##*/}" >"$folder/$file"
    done
}
has_containerd() { "$HERE/node.sh" exec "$1" ctr version; }
nodes_are_ready() { [ "$(admin get nodes --no-headers | grep -cw Ready)" -ge "$nodes" ]; }
has_default_account() { admin -n default get serviceaccount default; }

identities
wire
daemon etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
apiserver
for node in $(seq "$nodes"); do node_files "$node"; done # all, before the first looks for its peers
for node in $(seq "$nodes"); do "$HERE/node.sh" start "$node"; done
wait_for 60 admin get --raw /readyz || die "the API server is not ready: see $RUN/log"
controllers
for node in $(seq "$nodes"); do wait_for 60 has_containerd "$node" || die "node $node has no containerd: see $RUN/node$node/log"; done
[ "$nodes" = 0 ] || "$HERE/load.sh" "$IMAGES/pause.tar" "$IMAGES/busybox.tar"
[ "$nodes" = 0 ] || wait_for 120 nodes_are_ready || die "nodes are not ready: see $RUN/node*/log"
wait_for 60 has_default_account || die "no default service account: see $RUN/log/controller-manager.log"
log "$nodes nodes are up in $((($(date +%s%N) - began) / 1000000)) ms; export KUBECONFIG=$ADMIN_KUBECONFIG"
