//! Docker: the engine, its containers, images, networks and files.

use super::codes;

codes! {
    NO_ENGINE = "E0801" Missing "no Docker engine answers"
"ksail speaks to the engine that the docker command would use: the one that DOCKER_HOST names, else the context that
DOCKER_CONTEXT or `docker context use` chose, else the usual sockets of Docker, rootless Docker, Docker Desktop and Podman.
Nothing answers there. Start the engine, or name the right one. Without any engine the same definition runs simulated: add
`--simulate`."

    ENGINE_TOO_OLD = "E0802" Unsupported "the Docker engine is too old"
"ksail needs version 1.41 of the engine's API, which Docker 20.10 and Podman 4 brought. The message says what the engine
speaks. Update it."

    ENGINE_DENIED = "E0803" Denied "the Docker engine's socket may not be used"
"The socket is there and this user may neither read nor write it. On Linux add the user to the group `docker` and log in
again, or use rootless Docker. Nothing was changed."

    SSH_HOST = "E0804" Unsupported "engines behind ssh:// cannot be reached directly"
"ksail starts no helper programs, so it has no ssh of its own. Forward the remote socket and name the local end:
`ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock USER@HOST` and `DOCKER_HOST=unix:///tmp/docker.sock`."

    BAD_ENGINE_ADDRESS = "E0805" Invalid "the Docker engine's address cannot be used"
"The address that DOCKER_HOST or the docker context gives has a form that no engine is reached by, the context is not there,
or its certificates cannot be read. The message says which. Good addresses begin with unix://, tcp://, http:// or https://."

    ENGINE_GONE = "E0806" Unavailable "the Docker engine went away in the middle"
"A request was cut off: the engine was stopped, restarted or crashed, or the connection to it broke. Whatever was begun
carries ksail's labels and is found again: once the engine is back, run again to continue."

    ENGINE_FAILED = "E0807" Unavailable "the Docker engine failed"
"The engine answered that it could not do what was asked, for a reason of its own; its words are in the message. Such a
request is tried again a few times. The engine's log says more: `journalctl -u docker` on most systems."

    ENGINE_REFUSED = "E0808" Invalid "the Docker engine refused a request"
"The engine found fault with what it was asked for; its words are in the message. Often an option of the definition asks for
something that this engine or this kernel cannot give, such as a device, a mount or an address outside the network."

    NO_IMAGE = "E0809" Missing "an image cannot be had"
"The image is not on the engine and its registry does not have it, or wants a login. Check its name and tag; for a private
registry log the engine in or give the credentials. An image that was built by hand can be loaded: `docker load -i FILE`."

    PULL_FAILED = "E0810" Unavailable "an image could not be pulled"
"The image is not on the engine, and pulling it broke off: the registry cannot be reached, the network is down, or the
registry allows no more pulls for now. On a machine without a network load the image first: `docker load -i FILE`."

    PORT_TAKEN = "E0811" Conflict "a port of the host is in use"
"A container is to publish a port that another program or container has already. The message names it. Stop the other one,
or choose another port in the definition; a port that is left out is chosen by the engine and never taken."

    NO_SPACE = "E0812" Denied "there is no space left"
"The disk that the engine keeps images and containers on is full. `docker system df` shows what is on it, `docker system
prune` removes what nobody uses, `ksail gc` removes what clusters left behind."

    NO_SUBNET = "E0813" Denied "the engine has no addresses left for a network"
"Each Docker network takes a range of addresses from the engine's pools, and those are used up; some 30 networks is all that
the defaults allow. Remove networks that nobody uses with `docker network prune` or `ksail gc`, or widen
`default-address-pools` in the engine's daemon.json."

    NAME_TAKEN = "E0814" Conflict "something else has the name that a cluster needs"
"A container, network or volume with this name is there and does not belong to this cluster. ksail never touches what is not
its own. Remove or rename it, or give the cluster another name."

    CONTAINER_DIFFERS = "E0815" Conflict "a container is not as it was made"
"The container belongs to the cluster and was made from another definition, by an earlier run that did not come to its end
or by hand. Delete the cluster and run again."

    EXEC_FAILED = "E0816" Invalid "a command in a container failed"
"ksail ran a command inside one of the cluster's containers and it ended with an error. The end of what it printed is in the
message; the whole of it is in the run's folder where one is named."

    CONTAINER_ENDED = "E0817" Invalid "a container ended although it should run"
"The container's process ended by itself. The end of its log is in the message and usually says why: a wrong option, a
missing privilege, or a host without enough memory, inotify watches or the right cgroups. `ksail doctor` checks the host."

    NOT_IN_TIME = "E0818" Timeout "a container made no progress"
"ksail waited for a container to say that it is ready and heard nothing new for a long time. The message says what it waited
for and the last line it saw. On a busy or small machine start fewer clusters at once; `ksail doctor` checks the host."

    NO_CONTAINER = "E0819" Missing "a container is not there"
"A container that the cluster needs has been removed, by hand or by another program. Run the definition again: what is
missing is made anew where that can be done."

    NO_RIGHTS = "E0820" Denied "the host holds back what containers need"
"Kubernetes nodes in containers need privileges that this host or engine does not give: privileged containers, cgroups,
or kernel modules. The engine's words are in the message. `ksail doctor` says what is missing and how to give it."

    FOREIGN_FILE = "E0821" Invalid "a file of another tool cannot be read"
"kwokctl, kind and k3d keep files that ksail reads so that their clusters can be used from here. This one does not have the
form it should. It was left as it is; mend it, or delete the cluster with the tool that made it."

    NO_SNAPSHOT = "E0822" Unsupported "what this cluster holds cannot be saved"
"Clusters whose nodes are simulated are what their API holds, and that can be saved, put back and forked. A node of K3s or
Vanilla holds more: images, the files of pods, volumes, certificates for its own address. What the API alone says of them
would be wrong in another cluster. Save volumes with a tool of their own, and make another cluster from the definition."

    BAD_SNAPSHOT = "E0823" Invalid "a snapshot cannot be read or written"
"The file is no snapshot of etcd or was damaged on its way, cannot be read, or is there already where a new one was to be
written. The cluster holds what it held before. Snapshots of `ksail cluster snapshot save` and of `kwokctl snapshot save` in
etcd's own format can be put back."

    BAD_NODE_IMAGE = "E0840" Invalid "an image is no node image"
"Nodes of Vanilla clusters are made of images that carry Kubernetes, containerd and some manifests, such as kindest/node. The image
that was named lacks what the message says. Leave `image` out to have the one that goes with the Kubernetes version, or build
one with `kind build node-image`."

    NO_IPV6 = "E0841" Unsupported "the engine gives nodes no IPv6 address"
"The cluster was asked to use IPv6, and the node's network has none. The engine was started without IPv6, or the network `kind` was
made without it by an earlier run. Remove the network once no cluster uses it, switch IPv6 on in the engine's configuration and
run again, or use `ip_family: \"ipv4\"`."

    ADDRESS_CHANGED = "E0842" Conflict "a control plane came back with another address"
"Control planes of one cluster know each other by address. After a stop the engine gave one of them another address, because a
container holds the former one now; etcd was to be told and did not take it, for the reason in the message. Stop the container
that holds the address and start the cluster again, or delete the cluster and run its script."

    ENGINE_MOVED = "E0843" Conflict "a cluster is on another engine than its definition names"
"The definition's `docker(#{ host, context })` names one engine, or DOCKER_HOST and the docker context lead to one where it names
none, and the cluster was begun on another, which ksail has written down and where it still is. Remove it there first with
`ksail cluster delete`, which finds it by itself, then run the definition again; or name the former engine again."

    SUBNET_TAKEN = "E0844" Conflict "a network's addresses are another network's already"
"The range that the definition gives the cluster's network, such as `subnet` in a k3d.yaml, overlaps the range of a network that is
there. `docker network ls` and `docker network inspect NAME` show who has it. Choose another range, or leave it out: the engine then
chooses a free one. Where nobody named a range, a network of the host itself may have it."

    NO_ARCHIVE = "E0845" Invalid "a file is no archive of images"
"`import_images` names a file that cannot be read, or that is not what `docker save` and its like write: a tar with a manifest.json or
an index.json in it. Make one with `docker save -o images.tar IMAGE…`, below the script's folder, or name the images themselves to
have them taken from the engine."

    WRONG_PLATFORM = "E0846" Unsupported "an image is for another platform"
"The programs of an image run on one kind of processor, and this engine's is another, or the registry has the image for others
only. An image of the wrong platform is usually one that was loaded or pulled by hand: `docker rmi IMAGE` and run again. As with the
docker command, DOCKER_DEFAULT_PLATFORM, such as `linux/amd64`, chooses the platform of what is pulled and run; the host must be able
to run it, by emulation if need be."
}
