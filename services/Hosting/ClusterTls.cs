using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Nephos.Hosting;

/// <summary>Mutual TLS between the processes of a cluster: each shows a certificate of the cluster's own authority and wants one.</summary>
/// <remarks>
/// The certificate says that a process belongs to the cluster, and names its node. Its name is not compared with the address:
/// processes move between addresses, and every member may serve every role.
/// </remarks>
public sealed class ClusterTls
{
    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2Collection _authorities = [];

    /// <exception cref="System.Security.Cryptography.CryptographicException">A file is no certificate or key.</exception>
    /// <exception cref="ArgumentException">Certificate and key do not belong together.</exception>
    public ClusterTls(string certificateFile, string keyFile, string authorityFile)
    {
        _certificate = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        _authorities.ImportFromPemFile(authorityFile);
    }

    /// <summary>For listening: nobody without a certificate of the cluster.</summary>
    public HttpsConnectionAdapterOptions ServerOptions => new()
    {
        ServerCertificate = _certificate,
        ClientCertificateMode = ClientCertificateMode.RequireCertificate,
        ClientCertificateValidation = (certificate, _, _) => IsOfCluster(certificate),
    };

    /// <summary>For connecting: to nobody without one.</summary>
    public SslClientAuthenticationOptions ClientOptions => new()
    {
        ClientCertificates = [_certificate],
        RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is X509Certificate2 shown && IsOfCluster(shown),
    };

    /// <summary>Valid now, and signed by the cluster's authority and by no other.</summary>
    internal bool IsOfCluster(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(certificate);
    }
}
