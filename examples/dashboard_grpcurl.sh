# The operator's dashboard over native gRPC, on the same port as REST. The server has reflection, so grpcurl needs no proto files.
# Reads DC1_ADMIN_TOKEN, and DC1_TARGET (localhost:8083 when unset): `bash examples/dashboard_grpcurl.sh`.
# grpcurl fills the token in by itself, as everybody on the machine sees what stands on a command line.
set -euo pipefail

grpcurl -plaintext -expand-headers -H 'x-admin-token: ${DC1_ADMIN_TOKEN}' "${DC1_TARGET:-localhost:8083}" dcp.v1.AdminService/GetDashboard
