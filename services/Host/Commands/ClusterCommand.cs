using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using Nephos.Hosting;

namespace Nephos.Host.Commands;

/// <summary><c>nephos cluster init</c>: the authority of a cluster, and a certificate for each node.</summary>
/// <remarks>The key of the authority belongs where nobody but the administrator of the cluster gets it; nodes need the other files only.</remarks>
internal static class ClusterCommand
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan NodeLife = TimeSpan.FromDays(825);
    private static readonly string[] BothEnds = [CertificateAuthority.ServerAuthentication, CertificateAuthority.ClientAuthentication];

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
            using var made = CertificateAuthority.Make("Nephos cluster", now);
            Write(directory, "ca", made);
        }
        using var authority = X509Certificate2.CreateFromPemFile(certificate, key);
        foreach (var node in nodes)
        {
            using var made = CertificateAuthority.Sign(authority, node, BothEnds, [], now, now + NodeLife);
            Write(directory, node, made);
        }
    }

    private static void Write(string directory, string name, X509Certificate2 certificate)
    {
        Write(Path.Combine(directory, $"{name}.key"), CertificateAuthority.ExportKeyPem(certificate));
        Write(Path.Combine(directory, $"{name}.pem"), certificate.ExportCertificatePem());
    }

    private static void Write(string file, string text)
    {
        File.Delete(file);
        using var writer = new StreamWriter(new FileStream(file, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }));
        writer.WriteLine(text);
    }
}
