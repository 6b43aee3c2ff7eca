#!/usr/bin/env bash
# A Kubernetes of one node in a network namespace of its own, of the binary that scripts/install-kubernetes.sh builds and Debian's
# containerd, runc and CNI plugins. It needs root. All state is in the folder $CLUSTER. There is one cluster at a time: its addresses
# and its groups in the kernel are fixed.
#   cluster.sh net    the namespace, in which everything else runs
#   cluster.sh api    etcd and the API server; it returns when they answer
#   cluster.sh node   the controllers, scheduler, proxy, DNS, containerd and kubelet
#   cluster.sh down   ends all of it and takes everything away, whatever state it is in
set -euo pipefail

run=${CLUSTER:?a folder for the state} binaries=${KUBERNETES:?the folder that install-kubernetes.sh prints}
namespace=freshet-ladder address=10.99.0.1 pods=10.98.0.0/24 services=10.96.0.0/24
sysctls="vm/overcommit_memory kernel/panic kernel/panic_on_oops" # the kubelet sets them
socket=$run/cri/containerd.sock

inside() { nsenter --net=/var/run/netns/$namespace "$@"; }

# start NAME COMMAND…: in the background, with its log and its id.
start() {
	local name=$1
	shift
	nohup nsenter --net=/var/run/netns/$namespace "$@" </dev/null >"$run/logs/$name" 2>&1 &
	echo $! >"$run/pids/$name"
}

# A process that has ended and that nobody has asked for still has an id.
runs() { [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true)" != Z ] && [ -e "/proc/$1" ]; }

# stop NAME: asks, waits for up to 10 s, and kills.
stop() {
	local pid
	pid=$(cat "$run/pids/$1" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 100); do
		runs "$pid" || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$run/pids/$1"
}

# await WHAT COMMAND…: asks for up to two minutes.
await() {
	local what=$1
	shift
	for _ in $(seq 600); do
		timeout 5 "$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	echo "cluster.sh: $what does not answer; its log is in $run/logs" >&2
	tail -n 5 "$run"/logs/* >&2
	exit 1
}

kubeconfig() {
	cat <<-END
		apiVersion: v1
		kind: Config
		clusters: [{name: ladder, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
		users: [{name: user, user: {token: $1}}]
		contexts: [{name: ladder, context: {cluster: ladder, user: user}}]
		current-context: ladder
	END
}

net() {
	mkdir -p "$run"/{logs,pids} /var/run/netns
	[ ! -e /var/run/netns/$namespace ] || {
		echo "cluster.sh: the namespace $namespace is there: another cluster runs, or \`CLUSTER=… cluster.sh down\` was not called for one" >&2
		exit 1
	}
	for name in $sysctls; do echo "$name $(cat "/proc/sys/$name")"; done >"$run/sysctls"
	ip netns list | awk '{print $1}' >"$run/namespaces"
	ip netns add $namespace
	touch "$run/ours"
	inside ip link set lo up
	inside ip link add node0 type bridge # not every kernel has the type dummy
	inside ip addr add $address/24 dev node0
	inside ip link set node0 up
	inside ip route add default dev node0
}

# Each namespace enforces `restricted` unless it says otherwise.
api() {
	cd "$run"
	mkdir -p pki
	openssl genrsa -out pki/accounts.key 2048 2>/dev/null
	openssl rsa -in pki/accounts.key -pubout -out pki/accounts.pub 2>/dev/null
	local admin node
	admin=$(openssl rand -hex 16) node=$(openssl rand -hex 16)
	printf '%s,admin,1,"system:masters"\n%s,system:node:node0,2,"system:nodes"\n' "$admin" "$node" >pki/tokens
	kubeconfig "$admin" >admin.conf
	kubeconfig "$node" >node.conf
	chmod 600 pki/tokens admin.conf node.conf
	cat >admission.yaml <<-END
		apiVersion: apiserver.config.k8s.io/v1
		kind: AdmissionConfiguration
		plugins:
		- name: PodSecurity
		  configuration:
		    apiVersion: pod-security.admission.config.k8s.io/v1
		    kind: PodSecurityConfiguration
		    defaults: {enforce: restricted, enforce-version: latest}
	END
	start etcd "$binaries/hyperkube" etcd --data-dir "$run/etcd" --unsafe-no-fsync --log-level error \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
	start apiserver "$binaries/hyperkube" kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 6443 \
		--bind-address 127.0.0.1 --advertise-address $address --cert-dir "$run/pki/apiserver" \
		--service-account-issuer https://ladder --service-account-key-file pki/accounts.pub --service-account-signing-key-file pki/accounts.key \
		--token-auth-file pki/tokens --authorization-mode Node,RBAC --service-cluster-ip-range $services \
		--enable-admission-plugins NodeRestriction --admission-control-config-file admission.yaml --allow-privileged=true --profiling=false \
		--kubelet-preferred-address-types=InternalIP
	await 'the API server' nsenter --net=/var/run/netns/$namespace "$binaries/kubectl" --kubeconfig admin.conf get --raw /readyz
}

node() {
	cd "$run"
	mkdir -p cri cni/net.d
	start controllers "$binaries/hyperkube" kube-controller-manager --kubeconfig admin.conf --service-account-private-key-file pki/accounts.key \
		--use-service-account-credentials=false --bind-address 127.0.0.1 --leader-elect=false --controllers='*,-node-ipam-controller' --cert-dir "$run/pki/controllers"
	start scheduler "$binaries/hyperkube" kube-scheduler --kubeconfig admin.conf --bind-address 127.0.0.1 --leader-elect=false
	cat >cni/net.d/10-ladder.conflist <<-END
		{"cniVersion": "0.4.0", "name": "ladder", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
		 "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$run/cni/ipam"}}]}
	END
	cat >cri/config.toml <<-END
		version = 2
		root = "$run/cri/root"
		state = "$run/cri/state"
		oom_score = 0
		disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
		[grpc]
		  address = "$socket"
		[ttrpc]
		  address = "$socket.ttrpc"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "${REGISTRY:?host:port of the registry with the images}/pause:latest"
		  restrict_oom_score_adj = true
		  disable_hugetlb_controller = true
		  disable_apparmor = true
		  [plugins."io.containerd.grpc.v1.cri".containerd]
		    snapshotter = "overlayfs"
		    default_runtime_name = "runc"
		    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		      runtime_type = "io.containerd.runc.v2"
		      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		        SystemdCgroup = false
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$run/cni/net.d"
		  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."$REGISTRY"]
		    endpoint = ["http://$REGISTRY"]
	END
	start containerd containerd --config "$run/cri/config.toml"
	await containerd ctr -a "$socket" version
	cat >Corefile <<-END
		.:53 {
		 bind $address
		 errors
		 kubernetes cluster.local in-addr.arpa {
		  kubeconfig $run/admin.conf
		 }
		 cache 5
		}
	END
	start dns "$binaries/hyperkube" coredns -conf "$run/Corefile"
	start proxy "$binaries/hyperkube" kube-proxy --kubeconfig admin.conf --hostname-override node0 --proxy-mode iptables --cluster-cidr $pods --nodeport-addresses primary \
		--conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
	cat >kubelet.yaml <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $address
		failCgroupV1: false
		cgroupDriver: cgroupfs
		containerRuntimeEndpoint: unix://$socket
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		failSwapOn: false
		oomScoreAdj: 0
		enforceNodeAllocatable: []
		evictionHard: {memory.available: 100Mi}
		imageGCHighThresholdPercent: 100
		localStorageCapacityIsolation: false
		podLogsDir: $run/podlogs
		readOnlyPort: 0
		healthzPort: 10248
		resolvConf: /etc/resolv.conf
		registerNode: true
		syncFrequency: 10s
		clusterDNS: [$address]
		clusterDomain: cluster.local
	END
	start kubelet "$binaries/hyperkube" kubelet --config kubelet.yaml --kubeconfig node.conf --root-dir "$run/kubelet" --hostname-override node0 --node-ip $address --cert-dir "$run/pki/kubelet"
}

down() {
	[ -e "$run/ours" ] || return 0
	local ctr=(timeout 20 ctr -a "$socket" -n k8s.io)
	stop kubelet
	if [ -e "$socket" ]; then
		for task in $("${ctr[@]}" tasks ls -q 2>/dev/null); do "${ctr[@]}" tasks kill -s KILL "$task" >/dev/null 2>&1 || true; done
		sleep 0.5
		for task in $("${ctr[@]}" containers ls -q 2>/dev/null); do
			"${ctr[@]}" tasks delete -f "$task" >/dev/null 2>&1 || true
			"${ctr[@]}" containers delete "$task" >/dev/null 2>&1 || true
		done
	fi
	# etcd last: an API server hangs without it.
	for name in dns proxy scheduler controllers apiserver containerd etcd; do stop $name; done
	# Shims outlive containerd, with our socket in their arguments; whatever else runs in the namespace is ours, too.
	for process in /proc/[0-9]*; do
		if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -q "containerd-shim.*$socket"; then kill -9 "${process#/proc/}" 2>/dev/null || true; fi
	done
	ip netns pids $namespace 2>/dev/null | grep -vx $$ | xargs -r kill -9 2>/dev/null || true
	for _ in 1 2 3; do
		awk -v run="$run/" 'index($2, run) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n 1 umount -l 2>/dev/null || true
	done
	ip netns list | awk '/^cni-/ { print $1 }' | grep -vxFf "$run/namespaces" | xargs -r -n 1 ip netns del 2>/dev/null || true
	ip netns del $namespace 2>/dev/null || true
	for groups in /sys/fs/cgroup /sys/fs/cgroup/*; do
		for group in kubepods k8s.io; do
			[ ! -d "$groups/$group" ] || find "$groups/$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
		done
	done
	while read -r name value; do echo "$value" >"/proc/sys/$name"; done <"$run/sysctls"
	rm -rf "$run"
}

case ${1:-} in
net | api | node | down) "$1" ;;
*)
	sed -n 's/^# \{0,1\}//p' "$0" | tail -n +2
	exit 2
	;;
esac
