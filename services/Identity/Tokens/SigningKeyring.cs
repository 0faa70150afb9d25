using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Shared;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.Identity.Tokens;

/// <summary>The keys tokens are signed with: one signs, retired ones verify until their last token has ended.</summary>
internal sealed class SigningKeyring(
    IStateStore store, TableCache<SigningKeyRecord> cache, CloudKey cloudKey, IdentityOptions options, TimeProvider time)
{
    /// <summary>A token may be described so long after it expired, for services that end long work in the name of a user.</summary>
    public static readonly TimeSpan ExpiredWindow = TimeSpan.FromHours(48);

    private const int MaxCachedTokens = 4096;

    // What was signed once stays signed: only time and revocations are to be checked again.
    private readonly TokenCache<TokenClaims> _signed = new(MaxCachedTokens);
    private readonly Lock _gate = new();
    private IReadOnlyList<SigningKeyRecord>? _source;
    private IReadOnlyList<TokenSigningKey> _keys = [];
    private TokenSigningKey? _current;

    /// <summary>The public halves and, for the one that signs, both.</summary>
    public IReadOnlyList<TokenSigningKey> Keys
    {
        get
        {
            Refresh();
            return _keys;
        }
    }

    /// <summary>The key that signs. The one of this process's start exists before the process serves.</summary>
    public TokenSigningKey Current
    {
        get
        {
            Refresh();
            return _current ?? throw Kernel.Errors.Faults.Unavailable("There is no key to sign tokens with yet.");
        }
    }

    public IReadOnlyList<SigningKeyRecord> Records => cache.List();

    /// <summary>The claims of a token that one of the keys signed, expired or revoked or not; else null.</summary>
    public TokenClaims? Decode(string token)
    {
        if (_signed.Get(token) is { } known)
        {
            return known;
        }
        var claims = TokenCodec.Decode(token, keyId => Keys.FirstOrDefault(key => key.KeyId == keyId));
        if (claims is not null)
        {
            _signed.Set(token, claims);
        }
        return claims;
    }

    /// <summary>Until when tokens of a key may be asked about; null for the one that signs.</summary>
    public static DateTimeOffset? EndOf(SigningKeyRecord record) => record.RetiredAt + IdentityWrites.MaxTokenLifetime + ExpiredWindow;

    public IAsyncEnumerable<TableChange<SigningKeyRecord>> WatchAsync(CancellationToken cancellationToken) => cache.WatchAsync(cancellationToken);

    /// <summary>Makes what is read from memory show everything acknowledged before the call.</summary>
    public Task CatchUpAsync(CancellationToken cancellationToken) => cache.CatchUpAsync(cancellationToken);

    /// <summary>Makes sure that a key signs, and a fresh one when it is its time or when told; forgets keys nobody needs.</summary>
    /// <returns>How many records changed.</returns>
    public async Task<int> RotateAsync(bool now, CancellationToken cancellationToken)
    {
        var changed = 0;
        await store.TransactAsync(
            async transaction =>
            {
                changed = 0;
                var at = time.GetUtcNow();
                var records = await transaction.ListAsync(IdentityTables.SigningKeys, "", cancellationToken);
                var signing = records.Where(record => record.RetiredAt is null).ToList();
                if (now || signing.Count != 1 || signing[0].CreatedAt + options.SigningKeyLifetime <= at)
                {
                    foreach (var record in signing)
                    {
                        transaction.Put(IdentityTables.SigningKeys, record with { RetiredAt = at });
                    }
                    transaction.Insert(IdentityTables.SigningKeys, NewKey(at));
                    changed = signing.Count + 1;
                }
                foreach (var record in records.Where(record => EndOf(record) < at))
                {
                    transaction.Delete<SigningKeyRecord>(IdentityTables.SigningKeys, record.KeyId);
                    changed++;
                }
            },
            cancellationToken);
        return changed;
    }

    private SigningKeyRecord NewKey(DateTimeOffset at)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var keyId = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        var privateKey = key.ExportPkcs8PrivateKey();
        var record = new SigningKeyRecord(keyId, cloudKey.Seal(privateKey, Context(keyId)), key.ExportSubjectPublicKeyInfo(), at, null);
        CryptographicOperations.ZeroMemory(privateKey);
        return record;
    }

    private void Refresh()
    {
        var source = cache.List();
        if (ReferenceEquals(source, Volatile.Read(ref _source)))
        {
            return;
        }
        lock (_gate)
        {
            var before = _keys.ToDictionary(key => key.KeyId, StringComparer.Ordinal);
            var signing = source.Where(record => record.RetiredAt is null).MaxBy(record => record.CreatedAt)?.KeyId;
            _keys =
            [
                .. source.Select(record => record.KeyId == signing
                    ? _current?.KeyId == signing ? _current : TokenSigningKey.FromPrivate(record.KeyId, cloudKey.Open(record.SealedPrivateKey, Context(record.KeyId)))
                    : before.GetValueOrDefault(record.KeyId) ?? TokenSigningKey.FromPublic(record.KeyId, record.PublicKey)),
            ];
            _current = _keys.FirstOrDefault(key => key.KeyId == signing);
            Volatile.Write(ref _source, source);
        }
    }

    private static string Context(string keyId) => "signing key " + keyId;
}

/// <summary>Rotates the signing key when it is its time.</summary>
internal sealed class SigningKeyReconciler(SigningKeyring keyring, TimeProvider time, ReconcilerRegistry registry, ILogger<SigningKeyReconciler> logger)
    : Reconciler("identity/signing-keys", TimeSpan.FromMinutes(5), time, registry, logger)
{
    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var changed = await keyring.RotateAsync(now: false, cancellationToken);
        return new ReconcileResult(keyring.Records.Count, changed, 0);
    }
}
