using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Nephos.Compute.Quotas;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Keypairs;

internal enum KeyAlgorithm { Rsa, Ed25519 }

/// <param name="UserId">Null: the caller.</param>
/// <param name="PublicKey">Null: a new pair is made.</param>
internal sealed record KeypairWish(
    string Name, KeypairType Type, string? PublicKey, KeyAlgorithm Algorithm, string? UserId, string? IdempotencyKey);

internal sealed partial class KeypairService(IStateStore store, QuotaService quotas, TimeProvider time)
{
    private const int NameCharsMax = 255;
    private const string CounterId = "keypairs";

    /// <summary>Makes or imports a pair; the private key is in this answer only, null when there is none to show.</summary>
    public async Task<(Keypair Keypair, string? PrivateKey)> CreateAsync(
        OperationContext operation, KeypairWish wish, CancellationToken cancellationToken)
    {
        var userId = UserOf(operation, wish.UserId, "create");
        CheckName(wish.Name);
        if (await store.GetAsync(Keypair.Table, Keypair.KeyOf(userId, wish.Name), cancellationToken) is { } existing)
        {
            return wish.IdempotencyKey is not null && existing.IdempotencyKey == wish.IdempotencyKey ? (existing, null) : throw Exists(wish.Name);
        }
        var now = time.GetUtcNow();
        var (publicKey, privateKey, fingerprint) = MakeOrCheck(wish, userId, now);
        var limit = await quotas.LimitAsync(operation.ProjectId, QuotaResource.KeyPairs, cancellationToken);
        try
        {
            var pair = await store.TransactAsync(async transaction =>
            {
                var have = await transaction.ListAsync(Keypair.Table, userId + "/", cancellationToken);
                if (limit >= 0 && have.Count + 1 > limit)
                {
                    throw new FaultException(ErrorReason.QuotaExceeded, "Quota exceeded, too many key pairs.",
                        new Dictionary<string, string> { ["resource"] = "key_pairs" });
                }
                var last = (await transaction.GetAsync(KeypairCounter.Table, CounterId, cancellationToken))?.Last ?? 0;
                transaction.Put(KeypairCounter.Table, new KeypairCounter(CounterId, last + 1));
                var made = new Keypair
                {
                    Number = last + 1, UserId = userId, Name = wish.Name, Type = wish.Type, PublicKey = publicKey, Fingerprint = fingerprint,
                    CreatedAt = now, IdempotencyKey = wish.IdempotencyKey,
                };
                transaction.Insert(Keypair.Table, made);
                return made;
            }, cancellationToken);
            return (pair, privateKey);
        }
        catch (UniqueViolationException)
        {
            throw Exists(wish.Name);
        }
    }

    public async Task<Keypair> GetAsync(OperationContext operation, string name, string? userId, CancellationToken cancellationToken)
    {
        var user = UserOf(operation, userId, "show");
        return await FindAsync(user, name, cancellationToken) ?? throw Missing(name, user);
    }

    /// <summary>The key pair of a user, or null.</summary>
    public async Task<Keypair?> FindAsync(string userId, string name, CancellationToken cancellationToken) =>
        name.Length is 0 or > NameCharsMax ? null : await store.GetAsync(Keypair.Table, Keypair.KeyOf(userId, name), cancellationToken);

    /// <summary>Ordered by name.</summary>
    public async Task<IReadOnlyList<Keypair>> ListAsync(OperationContext operation, string? userId, CancellationToken cancellationToken) =>
        await store.ListAsync(Keypair.Table, UserOf(operation, userId, "index") + "/", cancellationToken);

    public async Task DeleteAsync(OperationContext operation, string name, string? userId, CancellationToken cancellationToken)
    {
        var user = UserOf(operation, userId, "delete");
        await store.TransactAsync(async transaction =>
        {
            if (name.Length is 0 or > NameCharsMax || await transaction.GetAsync(Keypair.Table, Keypair.KeyOf(user, name), cancellationToken) is null)
            {
                throw Missing(name, user);
            }
            transaction.Delete(Keypair.Table, Keypair.KeyOf(user, name));
        }, cancellationToken);
    }

    private static (string PublicKey, string? PrivateKey, string Fingerprint) MakeOrCheck(KeypairWish wish, string userId, DateTimeOffset now)
    {
        if (wish.PublicKey is not { } given)
        {
            var made = (wish.Type, wish.Algorithm) switch
            {
                (KeypairType.X509, _) => KeyMaker.X509(userId, now),
                (_, KeyAlgorithm.Ed25519) => KeyMaker.Ed25519(),
                _ => KeyMaker.Rsa(),
            };
            return (made.PublicKey, made.PrivateKey, made.Fingerprint);
        }
        if (wish.Type == KeypairType.Ssh)
        {
            return (given, null, SshPublicKey.Fingerprint(given));
        }
        try
        {
            using var certificate = X509Certificate2.CreateFromPem(given);
            return (given, null, KeyMaker.X509Fingerprint(certificate));
        }
        catch (CryptographicException)
        {
            throw ComputeFaults.Refers("public_key", "Keypair data is invalid: failed to generate X509 fingerprint. It must be a certificate in PEM format.");
        }
    }

    private static string UserOf(OperationContext operation, string? userId, string action)
    {
        if (userId is null || userId.Length == 0 || userId == operation.UserId)
        {
            return operation.UserId;
        }
        operation.RequireAdmin($"os_compute_api:os-keypairs:{action}");
        return userId.Length <= 64 && !userId.Contains('/') ? userId : throw Faults.Invalid("user_id", "must be the id of a user");
    }

    private static void CheckName(string name)
    {
        if (name.Length is 0 or > NameCharsMax || !NamePattern().IsMatch(name))
        {
            throw Faults.Invalid("name", "1 to 255 letters, digits, spaces, dots, dashes, underscores and @");
        }
    }

    private static FaultException Exists(string name) =>
        new(ErrorReason.AlreadyExists, $"Key pair '{name}' already exists.", new Dictionary<string, string> { ["kind"] = "Keypair", ["name"] = name });

    private static FaultException Missing(string name, string userId) =>
        new(ErrorReason.NotFound, $"Keypair {name} not found for user {userId}", new Dictionary<string, string> { ["kind"] = "Keypair", ["id"] = name });

    [GeneratedRegex(@"^[A-Za-z0-9@._ -]+$")]
    private static partial Regex NamePattern();
}
