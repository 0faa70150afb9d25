using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Identity.Credentials;

/// <summary>An access key: one user in one project.</summary>
internal sealed record AccessKey(string Access, string Secret, string UserId, string ProjectId);

/// <summary>What the S3 face needs to check signatures of one day itself, and a token that says who acts.</summary>
internal sealed record DayKey(byte[] Key, TokenDescription Description, string Token);

/// <summary>Access keys for AWS protocols, and tokens for those who signed with one.</summary>
internal sealed class Ec2Service(CredentialService credentials, DirectoryView directory, TokenIssuer issuer, TokenService tokens, TimeProvider time)
{
    /// <summary>An older signature may have been overheard.</summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(15);

    private const string Kind = "credential";

    public async Task<AccessKey> CreateAsync(
        OperationContext operation, string userId, string projectId, string idempotencyKey, CancellationToken cancellationToken)
    {
        await RequireUserAsync(operation, userId, cancellationToken);
        var blob = new Ec2Blob(Ids.NewHex(), Ids.NewHex() + Ids.NewHex());
        var made = await credentials.CreateAsync(
            operation, (userId, projectId, Credential.Ec2Type, blob.ToText()), idempotencyKey, cancellationToken);
        return ToKey(made);
    }

    public async Task<AccessKey> GetAsync(OperationContext operation, string userId, string access, CancellationToken cancellationToken)
    {
        await RequireUserAsync(operation, userId, cancellationToken);
        return ToKey(await FindOwnAsync(operation, userId, access, cancellationToken));
    }

    public async Task<IReadOnlyList<AccessKey>> ListAsync(OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        await RequireUserAsync(operation, userId, cancellationToken);
        return
        [
            .. (await credentials.ListAsync(operation, userId, cancellationToken))
                .Where(credential => credential.Record.Type == Credential.Ec2Type).Select(ToKey),
        ];
    }

    public async Task DeleteAsync(OperationContext operation, string userId, string access, CancellationToken cancellationToken)
    {
        await RequireUserAsync(operation, userId, cancellationToken);
        var found = await FindOwnAsync(operation, userId, access, cancellationToken);
        await credentials.DeleteAsync(operation, found.Record.Id, cancellationToken);
    }

    /// <summary>A token for whoever signed a request. Only services and administrators may ask: they vouch for having received it.</summary>
    /// <exception cref="FaultException">Unauthenticated: the signature is wrong or old. NotFound: there is no such key.</exception>
    public async Task<(string Token, TokenDescription Description)> AuthenticateAsync(
        OperationContext operation, SignedRequest request, CancellationToken cancellationToken)
    {
        RequireService(operation, "identity:ec2_authenticate");
        var (record, blob) = await FindAsync(request.Access, cancellationToken);
        var now = time.GetUtcNow();
        var isFresh = AwsSignatures.SignedAt(request) is { } at && at > now - MaxAge && at < now + MaxAge;
        return isFresh && AwsSignatures.IsSigned(blob.Secret, request)
            ? await IssueAsync(record, cancellationToken)
            : throw PasswordAuthentication.Failed();
    }

    /// <inheritdoc cref="AuthenticateAsync(OperationContext, SignedRequest, CancellationToken)"/>
    public async Task<(string Token, TokenDescription Description)> AuthenticateAsync(
        OperationContext operation, string access, byte[] stringToSign, string signature, CancellationToken cancellationToken)
    {
        RequireService(operation, "identity:s3_authenticate");
        var (record, blob) = await FindAsync(access, cancellationToken);
        return AwsSignatures.IsStringSigned(blob.Secret, stringToSign, signature)
            ? await IssueAsync(record, cancellationToken)
            : throw PasswordAuthentication.Failed();
    }

    /// <summary>The signing key of one day. Services only; the secret itself never leaves.</summary>
    /// <exception cref="FaultException">Unauthenticated: the key, its user or its project is gone or disabled.</exception>
    public async Task<DayKey> GetDayKeyAsync(
        OperationContext operation, string access, string date, string region, string service, CancellationToken cancellationToken)
    {
        operation.RequireService("identity:get_signing_key");
        if (date.Length != 8 || !date.All(char.IsAsciiDigit))
        {
            throw Faults.Invalid("date", "must be YYYYMMDD");
        }
        if (region.Length > 64 || service.Length is 0 or > 16)
        {
            throw Faults.Invalid("region", "the region has at most 64 characters and the service 1 to 16");
        }
        if (await credentials.FindAccessKeyAsync(access, cancellationToken) is not { } found)
        {
            throw PasswordAuthentication.Failed();
        }
        var (token, description) = await IssueAsync(found.Record, cancellationToken);
        return new DayKey(AwsSignatures.SigningKey(found.Blob.Secret, date, region, service), description, token);
    }

    private async Task<OpenCredential> FindOwnAsync(OperationContext operation, string userId, string access, CancellationToken cancellationToken) =>
        await credentials.FindAccessKeyAsync(access, cancellationToken) is { } found && found.Record.UserId == userId
            ? await credentials.GetAsync(operation, found.Record.Id, cancellationToken)
            : throw Faults.NotFound(Kind, access);

    private static AccessKey ToKey(OpenCredential credential)
    {
        var blob = Ec2Blob.Parse(credential.Blob);
        return new AccessKey(blob.Access, blob.Secret, credential.Record.UserId, credential.Record.ProjectId!);
    }

    private static void RequireService(OperationContext operation, string action)
    {
        if (!operation.IsService)
        {
            Policy.RequireAdmin(operation, action);
        }
    }

    private async Task<(Credential Record, Ec2Blob Blob)> FindAsync(string access, CancellationToken cancellationToken) =>
        await credentials.FindAccessKeyAsync(access, cancellationToken) ?? throw Faults.NotFound(Kind, access);

    private async Task<(string Token, TokenDescription Description)> IssueAsync(Credential record, CancellationToken cancellationToken)
    {
        var issued = await issuer.IssueForEc2Async(record, cancellationToken);
        return (issued.Token, await tokens.DescribeAsync(issued.Claims, cancellationToken) ?? throw PasswordAuthentication.Failed());
    }

    private async Task RequireUserAsync(OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        if (operation.UserId == userId)
        {
            return;
        }
        Policy.RequireAdmin(operation, "identity:ec2_credentials");
        if (await directory.FindUserAsync(userId, cancellationToken) is null)
        {
            throw Faults.NotFound("user", userId);
        }
    }
}
