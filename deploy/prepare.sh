#!/bin/sh
# Makes, once, what an installation must have of its own: passwords, keys and certificates. Overwrites nothing.
#
#   deploy/prepare.sh PORTAL_HOST FLEET_HOST [FOLDER]
#
# PORTAL_HOST is the name in the browser, FLEET_HOST the name that nodes connect to; FOLDER defaults to deploy/secrets.
# Put your own certificate into portal.pem and portal.key before or after: the one made here is signed by this
# installation's own authority and browsers will warn about it. Move fleet-ca.key to a safe place afterwards.
set -eu
umask 022

usage() {
  sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,8p' >&2
  exit 64
}

[ $# -ge 2 ] && [ $# -le 3 ] || usage
portal_host=$1
fleet_host=$2
folder=${3:-$(dirname "$0")/secrets}
command -v openssl >/dev/null || { echo "prepare: openssl is needed (apt-get install openssl)" >&2; exit 69; }

# The folder keeps strangers out. The files are readable because each container's user has its own number.
mkdir -p "$folder"
chmod 700 "$folder"

password() {
  [ -e "$folder/$1" ] || openssl rand -hex 32 | tr -d '\n' > "$folder/$1"
}

key() {
  [ -e "$folder/$1" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$folder/$1"
  chmod 644 "$folder/$1"
}

authority() {
  [ -e "$folder/fleet-ca.pem" ] && return
  key fleet-ca.key
  chmod 600 "$folder/fleet-ca.key"
  openssl req -x509 -new -key "$folder/fleet-ca.key" -sha256 -days 3650 -subj "/CN=FedStudy fleet authority" \
    -config /dev/stdin -extensions authority -out "$folder/fleet-ca.pem" <<'CONF'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
CONF
}

certificate() { # FILE NAMES
  [ -e "$folder/$1.pem" ] && return
  if [ ! -r "$folder/fleet-ca.key" ]; then
    echo "prepare: to make $1.pem, put fleet-ca.key back into $folder for a moment" >&2
    exit 66
  fi
  key "$1.key"
  extensions=$(mktemp)
  cat > "$extensions" <<CONF
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = $2
CONF
  openssl req -new -key "$folder/$1.key" -subj "/CN=$1" |
    openssl x509 -req -sha256 -days 397 -CA "$folder/fleet-ca.pem" -CAkey "$folder/fleet-ca.key" \
      -set_serial "0x$(openssl rand -hex 16)" -extfile "$extensions" -out "$folder/$1.pem" 2>/dev/null
  rm -f "$extensions"
}

for name in secret-key database-admin-password database-owner-password database-password database-log-password \
  broker-password superexec-secret; do
  password "$name"
done
# With this key the log of events signs what it holds. Keep a copy where it is safe: a log that signs with another one
# must be explained to everybody who watches it.
[ -e "$folder/log-key.pem" ] || openssl genpkey -algorithm ed25519 -out "$folder/log-key.pem" 2>/dev/null
chmod 644 "$folder/log-key.pem"
authority
certificate superlink "DNS:superlink"
certificate fleet "DNS:$fleet_host"
certificate portal "DNS:$portal_host"

echo "Ready in $folder. Certificates are valid for 397 days: delete one and run this again to renew it."
echo "Now move fleet-ca.key to a place that this machine cannot read, and keep it: renewals need it."
