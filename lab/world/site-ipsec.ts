/**
 * A tenant's site as its own strongSwan would be set up by the tenant: policy based, narrow selectors, dead-peer detection. The
 * algorithms are those that the gateway offers to PSK interfaces (DESIGN §5).
 */
import { CLOUD_SUBNET, GATEWAY, GATEWAY_SUBNET, type Site } from '../fabrikam.ts';

/** Where a site's daemon keeps its socket, log and configuration inside the world. */
export const siteDir = (site: Site): string => `/lab/sites/${site.netns}`;
export const viciOf = (site: Site): string => `unix://${siteDir(site)}/charon.vici`;

export const strongswanConf = (site: Site): string => `charon {
  load = random nonce x509 pubkey pkcs1 pem openssl kdf sha1 sha2 hmac gcm aes curve25519 kernel-netlink socket-default vici counters
  install_routes = no
  retransmit_tries = 4
  retransmit_timeout = 1.0
  retransmit_base = 1.5
  filelog {
    site {
      path = ${siteDir(site)}/charon.log
      default = 1
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = ${viciOf(site)}
    }
  }
}
charon-systemd {
  journal {
    default = -1
  }
}
`;

/** `swanctl.conf`: one connection `gateway` with one child `cloud`. */
export const swanctlConf = (site: Site, secret: string): string => `connections {
  gateway {
    version = 2
    local_addrs = ${site.destination}
    remote_addrs = ${GATEWAY.publicAddress}
    mobike = no
    dpd_delay = 5s
    proposals = aes256-sha384-ecp384
    local {
      auth = psk
      id = ${site.destination}
    }
    remote {
      auth = psk
      id = ${GATEWAY.publicAddress}
    }
    children {
      cloud {
        local_ts = ${site.lan}
        remote_ts = ${CLOUD_SUBNET}, ${GATEWAY_SUBNET}
        esp_proposals = aes256gcm16-ecp384, aes256gcm16-x25519, aes256gcm16
        start_action = none
        dpd_action = clear
      }
    }
  }
}
secrets {
  ike-gateway {
    id = ${GATEWAY.publicAddress}
    secret = ${secret}
  }
}
`;
