using Nephos.Kernel.State;

namespace Nephos.Compute.Keypairs;

internal enum KeypairType { Ssh, X509 }

internal sealed record Keypair
{
    /// <summary>Counts up in the whole cloud; clients know it as a number.</summary>
    public required long Number { get; init; }

    public required string UserId { get; init; }

    public required string Name { get; init; }

    public required KeypairType Type { get; init; }

    public required string PublicKey { get; init; }

    public required string Fingerprint { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public string? IdempotencyKey { get; init; }

    public static readonly TableSchema<Keypair> Table =
        new("compute/keypairs", pair => KeyOf(pair.UserId, pair.Name), ComputeJson.Default.Keypair);

    public static string KeyOf(string userId, string name) => $"{userId}/{name}";
}

internal sealed record KeypairCounter(string Id, long Last)
{
    public static readonly TableSchema<KeypairCounter> Table = new("compute/keypair-counter", counter => counter.Id, ComputeJson.Default.KeypairCounter);
}
