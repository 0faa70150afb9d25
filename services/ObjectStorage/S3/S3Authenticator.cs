using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Identity = Nephos.Protos.Identity.V1;

namespace Nephos.ObjectStorage.S3;

/// <summary>Finds out who signed a request. Keys of one day are kept for as long as identity allows; revocation acts at once.</summary>
internal sealed class S3Authenticator(
    Identity.Ec2Credentials.Ec2CredentialsClient credentials, ServiceCalls calls, ITokenVerifier tokens, TimeProvider time)
{
    private const int MaxKeys = 10_000;

    private readonly ConcurrentDictionary<(string AccessKey, string Scope), Identity.GetSigningKeyResponse> _keys = new();

    /// <returns>Who asks, and what proved it, which signed chunks need too; null when nobody signed.</returns>
    /// <exception cref="S3Fault">The request is not signed by whom it says.</exception>
    public async ValueTask<S3Signer?> AuthenticateAsync(HttpRequest request, S3Target target, CancellationToken cancellationToken)
    {
        if (SignatureV4.Read(request, target, time.GetUtcNow()) is not { } claim)
        {
            return null;
        }
        var signer = await FindSignerAsync(claim, cancellationToken);
        return SignatureV4.Verify(claim, request, target, signer.SigningKey) ? signer : throw S3Fault.SignatureDoesNotMatch();
    }

    /// <summary>The user behind an access key, and the key of the day for a claim that is still to be checked.</summary>
    public async ValueTask<S3Signer> FindSignerAsync(SignatureClaim claim, CancellationToken cancellationToken)
    {
        var (key, operation) = await FindAsync(claim, cancellationToken);
        return new S3Signer(operation, claim, key.SigningKey.ToByteArray());
    }

    private async ValueTask<(Identity.GetSigningKeyResponse Key, OperationContext Operation)> FindAsync(
        SignatureClaim claim, CancellationToken cancellationToken)
    {
        var id = (claim.AccessKey, claim.Scope);
        if (_keys.TryGetValue(id, out var known) && known.ExpiresAt.ToDateTimeOffset() > time.GetUtcNow() &&
            await tokens.VerifyAsync(known.Token, RequestIds.New(), cancellationToken) is { } live)
        {
            return (known, live);
        }
        try
        {
            var key = await credentials.GetSigningKeyAsync(
                new Identity.GetSigningKeyRequest { AccessKey = claim.AccessKey, Date = claim.Date, Region = claim.Region, Service = claim.Service },
                await calls.AsServiceAsync(cancellationToken));
            if (_keys.Count >= MaxKeys)
            {
                _keys.Clear();
            }
            _keys[id] = key;
            return (key, await tokens.VerifyAsync(key.Token, RequestIds.New(), cancellationToken) ?? throw InvalidKey());
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.Unauthenticated or ErrorReason.NotFound)
        {
            _keys.TryRemove(id, out _);
            throw InvalidKey();
        }
    }

    private static S3Fault InvalidKey() =>
        new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
}
