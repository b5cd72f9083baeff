#!/bin/sh
# Compiles the service, packs it FROM scratch, pushes it to its ECR repository and writes the image,
# by digest, to standard output; everything else goes to standard error.
# Usage: ci/push-image.sh [repository]
set -eu
cd "$(dirname "$0")/.."
repository=${1:-hello-ecs}

cargo build --release --target-dir target >&2

uri=$(aws ecr describe-repositories --repository-names "$repository" \
    --query 'repositories[0].repositoryUri' --output text)
# An emulator names its registry as AWS does, but serves it where it serves its API.
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
    registry=${AWS_ENDPOINT_URL#*://}
    uri=${registry%/}/$repository
fi
aws ecr get-login-password | docker login --username AWS --password-stdin "${uri%%/*}" >&2

# The commit is the tag: one look at the registry tells where an image comes from.
tag=${CODEBUILD_RESOLVED_SOURCE_VERSION:-$(git rev-parse HEAD)}
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build --tag "$uri:$tag" . >&2
docker push "$uri:$tag" >&2

digest=$(aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$tag" \
    --query 'imageDetails[0].imageDigest' --output text)
echo "$uri@$digest"
