#!/usr/bin/env bash
# Logs in, verifies the access token, refreshes once and logs out. PASSWORD is the user's; ADDRESS and ACCOUNT may be set.
set -euo pipefail
proto=$(cd "$(dirname "$0")/../../../proto" && pwd)

# Prints the answer as JSON, or the status of the error with its details, which error_details.proto makes readable.
# Arguments are seen by every user of the machine, so the message goes to standard input.
call() { # method, message
    # Where the service speaks TLS: without -plaintext, and with -cacert for an authority of your own.
    grpcurl -plaintext -max-time 5 -format-error -import-path "$proto" -proto countersign/v1/auth_service.proto \
        -proto google/rpc/error_details.proto -d @ "${ADDRESS:-127.0.0.1:50051}" \
        "countersign.v1.AuthService/$1" <<<"$2" 2>&1
}

# The first member of this name. Where jq is installed, use that.
member() { # name, JSON
    grep -o "\"$1\": [^,]*" <<<"$2" | head -1 | cut -d: -f2- | tr -d '" '
}

explain() { # an error
    # Without a reason the error did not come from the service: the connection failed, for example.
    reason=$(member reason "$1" || echo "no reason")
    case $reason in
        # The only reasons to forget tokens. On every other error keep them.
        REFRESH_TOKEN_INVALID | REFRESH_TOKEN_EXPIRED | REFRESH_TOKEN_REUSED | SESSION_REVOKED)
            echo "refused: $reason (the session is over: forget the tokens)" ;;
        *) echo "refused: $reason (keep any tokens)" ;;
    esac
}

stop() { # an error
    explain "$1"
    exit 1
}

# Quotation marks and backslashes are escaped, as JSON wants it.
password=${PASSWORD//\\/\\\\}
login=$(call Login "{\"username\": \"${ACCOUNT:-admin}\", \"password\": \"${password//\"/\\\"}\"}") || stop "$login"
access=$(member accessToken "$login")
refresh=$(member refreshToken "$login")
echo "logged in: $(member username "$login")"

# A token that is not good is an answer and not an error.
answer=$(call VerifyAccessToken "{\"accessToken\": \"$access\"}") || stop "$answer"
if [[ $answer == *'"verified"'* ]]; then
    echo "verified: $(member username "$answer")"
else
    echo "not verified: $(member reason "$answer")"
fi

next=$(call Refresh "{\"refreshToken\": \"$refresh\"}") || stop "$next"
refresh=$(member refreshToken "$next")
echo "refreshed: the access token is good for $(member expiresIn "$next") s"

ended=$(call Logout "{\"refreshToken\": \"$refresh\"}") || stop "$ended"
echo "logged out"

late=$(call Refresh "{\"refreshToken\": \"$refresh\"}") || explain "$late"
