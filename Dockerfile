# The environment of `make demo` in an image: the command, the embedded engine, the small model.
#
#   docker build --tag tts .
#   docker run --rm --security-opt seccomp=unconfined tts                      # tts doctor
#   docker run --rm --security-opt seccomp=unconfined --volume "$PWD:/work" tts solve problems.jsonl --recipe quickstart
#
# Docker's own filter of system calls refuses the namespaces of which the sandbox for programs is made, and with it the
# profile is `landlock+seccomp`; without it `full`, as docs/programs.md says of both. Programs are under the sandbox's
# filter either way. Where no programs are run, leave the option out.
FROM python:3.13-slim
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
# torch from the package index brings CUDA's libraries, gigabytes of them; an index of its builds for CPUs does not.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /opt/tts
COPY . .
RUN make .venv/.demo
RUN useradd --create-home tts && mkdir /work && chown tts /work
USER tts
WORKDIR /work
ENTRYPOINT ["/opt/tts/.venv/bin/tts"]
CMD ["doctor"]
