using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.Client.Nbd;

/// <summary>How a listener that is reached over a network proves who it is, and whom it lets in: certificates of one authority on both sides (B37).</summary>
/// <param name="certificate">The listener's own, with its key.</param>
/// <param name="authority">What clients' certificates are signed by. It signs nothing else than what may connect here.</param>
public sealed class NbdTls(X509Certificate2 certificate, X509Certificate2 authority)
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    internal SslServerAuthenticationOptions Options { get; } = new()
    {
        ServerCertificateContext = SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true),
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, shown, _, _) => shown is X509Certificate2 client && IsOf(authority, client),
    };

    // Valid now, for a client, and signed by the authority and by no other.
    private static bool IsOf(X509Certificate2 authority, X509Certificate2 client)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return chain.Build(client);
    }
}
