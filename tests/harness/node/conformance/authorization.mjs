// Authorization without a browser: the redirect is followed at once, and the code is in where it leads.
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { discoverOAuthProtectedResourceMetadata, discoverAuthorizationServerMetadata } from "@modelcontextprotocol/sdk/client/auth.js";

class Provider {
  redirectUrl = "http://localhost:1/callback";
  clientMetadataUrl = "https://conformance-test.local/client-metadata.json";
  clientMetadata = {
    client_name: "conformance-client",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_post",
  };

  constructor(information) {
    this.information = information;
  }

  clientInformation = () => this.information;
  saveClientInformation = (information) => void (this.information = information);
  tokens = () => this.saved;
  saveTokens = (tokens) => void (this.saved = tokens);
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  codeVerifier = () => this.verifier;

  async redirectToAuthorization(url) {
    const { headers } = await fetch(url, { redirect: "manual" });
    this.code = new URL(headers.get("location")).searchParams.get("code");
  }

  takeCode() {
    const code = this.code;
    this.code = undefined;
    return code;
  }
}

export function providerFor(scenario, { client_id, client_secret, private_key_pem, signing_algorithm }) {
  if (scenario === "auth/client-credentials-basic") return new ClientCredentialsProvider({ clientId: client_id, clientSecret: client_secret });
  if (scenario === "auth/client-credentials-jwt")
    return new PrivateKeyJwtProvider({ clientId: client_id, privateKey: private_key_pem, algorithm: signing_algorithm });
  return new Provider(client_id && { client_id, client_secret });
}

async function form(url, fields, headers = {}) {
  const response = await fetch(url, { method: "POST", headers, body: new URLSearchParams(fields) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

// Enterprise-managed authorization (SEP-990): the identity provider's token becomes a grant, the grant an access token.
export async function tokenOfEnterprise(url, context) {
  const resource = await discoverOAuthProtectedResourceMetadata(url);
  const [issuer] = resource.authorization_servers;
  const server = await discoverAuthorizationServerMetadata(issuer);
  const grant = await form(context.idp_token_endpoint, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    requested_token_type: "urn:ietf:params:oauth:token-type:id-jag",
    subject_token: context.idp_id_token,
    subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
    audience: issuer,
    resource: resource.resource,
    client_id: context.idp_client_id,
  });
  const secret = Buffer.from(`${context.client_id}:${context.client_secret}`).toString("base64");
  const provider = new Provider({ client_id: context.client_id, client_secret: context.client_secret });
  const jwtBearer = { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: grant.access_token };
  provider.saveTokens(await form(server.token_endpoint, jwtBearer, { Authorization: `Basic ${secret}` }));
  return provider;
}
