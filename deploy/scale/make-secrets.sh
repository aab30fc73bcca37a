#!/bin/sh
# Makes what the containers of compose.scale.yaml keep secret, in the folder secrets/ beside this file. What is there
# stays as it is, so that running it again changes nothing.
#
# The folder can be entered by its owner only. The files in it can be read by all, since each container sees only those
# that are mounted into it, and reads them as a user of its own.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

random() { # BYTES: so many random bytes, as hexadecimal digits
    head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

keep() { # NAME: what comes in becomes the file NAME, unless there is one
    if [ -e "$1" ]; then
        cat >/dev/null
    else
        cat >"$1.new"
        chmod 444 "$1.new"
        mv "$1.new" "$1"
    fi
}

random 24 | keep postgres-password
random 24 | keep nats-password
random 24 | keep nats-routes-password
echo "GK$(random 12)" | keep s3-key-id
random 32 | keep s3-key

printf 'authorization { user: fleetpulse, password: "%s" }\n' "$(cat nats-password)" | keep nats-users.conf
password=$(cat nats-routes-password)
keep nats-routes.conf <<END
authorization { user: routes, password: "$password" }
routes: [
    "nats://routes:$password@nats1:6222", "nats://routes:$password@nats2:6222", "nats://routes:$password@nats3:6222"
]
END
{
    echo "GARAGE_RPC_SECRET=$(random 32)"
    echo "GARAGE_DEFAULT_ACCESS_KEY=$(cat s3-key-id)"
    echo "GARAGE_DEFAULT_SECRET_KEY=$(cat s3-key)"
    echo "GARAGE_DEFAULT_BUCKET=fleetpulse"
} | keep garage.env
printf 'postgresql://fleetpulse:%s@postgres:5432/fleetpulse\n' "$(cat postgres-password)" | keep catalog
