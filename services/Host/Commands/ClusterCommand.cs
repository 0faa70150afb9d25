using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.Host.Commands;

/// <summary><c>nephos cluster init</c>: the authority of a cluster, and a certificate for each node.</summary>
/// <remarks>The key of the authority belongs where nobody but the administrator of the cluster gets it; nodes need the other files only.</remarks>
internal static class ClusterCommand
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan AuthorityLife = TimeSpan.FromDays(3650);
    private static readonly TimeSpan NodeLife = TimeSpan.FromDays(825);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(5);

    public static Command Create()
    {
        var directory = new Option<string>("--directory") { Description = "Where the files go; an authority that is there stays", Required = true };
        var nodes = new Argument<string[]>("nodes") { Description = "Names of nodes that get a new certificate", Arity = ArgumentArity.ZeroOrMore };
        var init = new Command("init", "Make the authority of a cluster and certificates for its nodes") { directory, nodes };
        init.SetAction(parse => Init(parse.GetValue(directory)!, parse.GetValue(nodes) ?? [], TimeProvider.System.GetUtcNow()));
        return new Command("cluster", "Certificates by which the processes of a cluster know each other") { init };
    }

    /// <summary>Makes <c>ca.pem</c> and <c>ca.key</c> unless they are there, and <c>NODE.pem</c> and <c>NODE.key</c> for each node.</summary>
    /// <exception cref="CommandException">A name is none.</exception>
    internal static void Init(string directory, IReadOnlyCollection<string> nodes, DateTimeOffset now)
    {
        if (nodes.FirstOrDefault(name => name.Length is 0 or > 63 || name is "ca" || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c != '-')) is { } wrong)
        {
            throw new CommandException($"'{wrong}' is no name of a node: letters, digits and dashes, not 'ca'");
        }
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        var (certificate, key) = (Path.Combine(directory, "ca.pem"), Path.Combine(directory, "ca.key"));
        if (!File.Exists(key))
        {
            using var made = MakeAuthority(now);
            Write(directory, "ca", made);
        }
        using var authority = X509Certificate2.CreateFromPemFile(certificate, key);
        foreach (var node in nodes)
        {
            using var made = MakeNode(node, authority, now);
            Write(directory, node, made);
        }
    }

    private static X509Certificate2 MakeAuthority(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Nephos cluster", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - ClockSkew, now + AuthorityLife);
    }

    private static X509Certificate2 MakeNode(string node, X509Certificate2 authority, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={node}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        // Each process both listens and connects.
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var end = now + NodeLife < authority.NotAfter ? now + NodeLife : authority.NotAfter;
        using var signed = request.Create(authority, now - ClockSkew, end, RandomNumberGenerator.GetBytes(16));
        return signed.CopyWithPrivateKey(key);
    }

    private static void Write(string directory, string name, X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        Write(Path.Combine(directory, $"{name}.key"), key.ExportPkcs8PrivateKeyPem());
        Write(Path.Combine(directory, $"{name}.pem"), certificate.ExportCertificatePem());
    }

    private static void Write(string file, string text)
    {
        File.Delete(file);
        using var writer = new StreamWriter(new FileStream(file, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }));
        writer.WriteLine(text);
    }
}
