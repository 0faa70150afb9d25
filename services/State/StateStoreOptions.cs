using System.ComponentModel.DataAnnotations;

namespace Nephos.State;

public enum StateEngine
{
    /// <summary>One process, durable in <see cref="StateStoreOptions.Path"/>.</summary>
    RocksDb,

    /// <summary>A cluster: the etcd at <see cref="StateStoreOptions.EtcdEndpoints"/>.</summary>
    Etcd,

    /// <summary>Gone when the process ends: tests.</summary>
    Memory,
}

/// <summary>Where the state of the control plane is.</summary>
public sealed record StateStoreOptions : IValidatableObject
{
    public StateEngine Engine { get; init; } = StateEngine.RocksDb;

    /// <summary>A folder of its own; <c>state</c> in the state directory of a process when empty.</summary>
    public string Path { get; init; } = "";

    /// <summary>
    /// Bytes of the disk that the embedded store leaves free. With less it refuses to write, so that what it has begun (writing out
    /// and merging files) always finds space, and its disk is never quite full.
    /// </summary>
    [Range(0, 1024L * 1024 * 1024 * 1024)]
    public long ReservedBytes { get; init; } = 128 * 1024 * 1024;

    /// <summary>Base addresses of the members: <c>http://10.0.0.1:2379</c>.</summary>
    public IReadOnlyList<string> EtcdEndpoints { get; init; } = [];

    /// <summary>Led before every key in etcd.</summary>
    public string EtcdPrefix { get; init; } = "nephos/";

    /// <summary>PEM of the authorities that vouch for the members; empty for those of the system.</summary>
    public string EtcdCaFile { get; init; } = "";

    /// <summary>PEM of the certificate by which etcd knows us, and of its key; both or neither.</summary>
    public string EtcdCertificateFile { get; init; } = "";

    public string EtcdKeyFile { get; init; } = "";

    public StateHistoryOptions History { get; init; } = new();

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Engine == StateEngine.Etcd && EtcdEndpoints.Count == 0)
        {
            yield return new ValidationResult("The etcd state store needs at least one endpoint.", [nameof(EtcdEndpoints)]);
        }

        if (EtcdCertificateFile.Length == 0 != (EtcdKeyFile.Length == 0))
        {
            yield return new ValidationResult("A certificate for etcd needs its key, and a key its certificate.", [nameof(EtcdKeyFile)]);
        }

        if (EtcdEndpoints.Select(endpoint => endpoint.Split(':')[0]).Distinct().Count() > 1)
        {
            yield return new ValidationResult("The etcd endpoints are all http or all https.", [nameof(EtcdEndpoints)]);
        }

        foreach (var endpoint in EtcdEndpoints)
        {
            if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            {
                yield return new ValidationResult($"'{endpoint}' is not an http or https address.", [nameof(EtcdEndpoints)]);
            }
        }
    }
}

/// <summary>How many changes are kept in memory for watchers; one that falls further behind lists again.</summary>
public sealed record StateHistoryOptions
{
    [Range(16, 1_000_000)]
    public int MaxBatches { get; init; } = 16_384;

    [Range(1024 * 1024, 1024L * 1024 * 1024)]
    public long MaxBytes { get; init; } = 64 * 1024 * 1024;
}
