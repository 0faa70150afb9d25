using System.Text;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Credentials;

/// <summary>A credential with its blob open.</summary>
internal sealed record OpenCredential(Credential Record, string Blob);

/// <summary>What can be done with credentials of any type, access keys among them.</summary>
internal sealed class CredentialService(DirectoryView directory, IdentityWrites writes, CloudKey key)
{
    public const int MaxBlobBytes = 64 * 1024;

    private const string Kind = "credential";

    public async Task<OpenCredential> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        var credential = await FindAsync(id, cancellationToken);
        return credential is not null && MaySee(operation, credential) ? Open(credential) : throw Faults.NotFound(Kind, id);
    }

    /// <summary>The credentials the caller may see: all for administrators, else the caller's own.</summary>
    public async Task<IReadOnlyList<OpenCredential>> ListAsync(
        OperationContext operation, string? userId, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        var owner = Policy.IsAdmin(operation) ? userId : operation.UserId;
        if (userId is not null && userId != owner)
        {
            return [];
        }
        var found = owner is null
            ? await directory.Store.ListAsync(IdentityTables.Credentials, "", cancellationToken)
            : await directory.Store.ListByAsync(IdentityTables.Credentials, "user", owner, cancellationToken);
        return [.. found.Where(credential => MaySee(operation, credential)).Select(Open)];
    }

    /// <param name="operation">The owner, or an administrator for somebody else.</param>
    /// <param name="draft">A credential without id; the blob of type ec2 is JSON with access and secret.</param>
    /// <param name="idempotencyKey">"" for none.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task<OpenCredential> CreateAsync(
        OperationContext operation, (string UserId, string? ProjectId, string Type, string Blob) draft, string idempotencyKey,
        CancellationToken cancellationToken)
    {
        const string Action = "identity:create_credential";
        Authorize(operation, draft.UserId, draft.ProjectId, Action);
        Names.Check(draft.Type, "type");
        CheckBlob(draft.Blob);
        var isEc2 = draft.Type == Credential.Ec2Type;
        if (isEc2 && draft.ProjectId is null)
        {
            throw Faults.Invalid("project_id", "is required for credentials of type ec2");
        }
        var access = isEc2 ? Ec2Blob.Parse(draft.Blob) : null;
        // Whatever a client writes beside them is dropped: what bounds a key comes from the token that made it.
        var blob = access?.ToText() ?? draft.Blob;
        var id = access is null ? Ids.NewHex() : Ec2Blob.IdOf(access.Access);
        var credential = new Credential
        {
            Id = id,
            UserId = draft.UserId,
            ProjectId = draft.ProjectId,
            Type = draft.Type,
            SealedBlob = Seal(id, blob),
            ApplicationCredentialId = operation.ApplicationCredentialId,
        };
        var made = await IdentityFaults.GuardNameAsync(Kind, id, writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, found) => await change.State.GetAsync(IdentityTables.Credentials, found, cancellationToken),
            async change =>
            {
                if (!Names.IsId(draft.UserId) || await change.State.GetAsync(IdentityTables.Users, draft.UserId, cancellationToken) is null)
                {
                    throw Faults.NotFound("user", draft.UserId);
                }
                if (draft.ProjectId is { } projectId &&
                    (!Names.IsId(projectId) || await change.State.GetAsync(IdentityTables.Projects, projectId, cancellationToken) is null))
                {
                    throw Faults.NotFound("project", projectId);
                }
                change.State.Insert(IdentityTables.Credentials, credential);
                return (credential.Id, credential);
            },
            cancellationToken));
        return Open(made);
    }

    /// <summary>A new blob, and for administrators another project. Tokens made with the credential end.</summary>
    /// <param name="operation">The owner, or an administrator.</param>
    /// <param name="id">Stays, also when the access key in the blob changes.</param>
    /// <param name="blob">Null: as it is.</param>
    /// <param name="projectId">Null: as it is.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task<OpenCredential> UpdateAsync(
        OperationContext operation, string id, string? blob, string? projectId, CancellationToken cancellationToken)
    {
        var seen = await RequireForWriteAsync(operation, id, "identity:update_credential", cancellationToken);
        if (projectId is not null && projectId != seen.ProjectId)
        {
            // A key is bound to what its owner could do when it was made; only who may do everything moves it.
            Policy.RequireAdmin(operation, "identity:update_credential");
            Authorize(operation, seen.UserId, projectId, "identity:update_credential");
        }
        string? accessHash = null;
        if (blob is not null)
        {
            CheckBlob(blob);
            if (seen.Type == Credential.Ec2Type)
            {
                var changed = Ec2Blob.Parse(blob);
                blob = changed.ToText();
                accessHash = Ec2Blob.IdOf(changed.Access);
            }
        }
        var updated = await IdentityFaults.GuardNameAsync(Kind, id, writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.Credentials, id, cancellationToken) ?? throw Faults.NotFound(Kind, id);
                if (projectId is not null &&
                    (!Names.IsId(projectId) || await change.State.GetAsync(IdentityTables.Projects, projectId, cancellationToken) is null))
                {
                    throw Faults.NotFound("project", projectId);
                }
                if (accessHash is not null && accessHash != id &&
                    await change.State.GetAsync(IdentityTables.Credentials, accessHash, cancellationToken) is not null)
                {
                    throw IdentityFaults.Duplicate(Kind, accessHash);
                }
                var after = before with
                {
                    ProjectId = projectId ?? before.ProjectId,
                    SealedBlob = blob is null ? before.SealedBlob : Seal(id, blob),
                    AccessHash = accessHash is null ? before.AccessHash : accessHash == id ? null : accessHash,
                };
                change.State.Put(IdentityTables.Credentials, after);
                change.Revoke(RevocationSubject.Credential(id));
                return after;
            },
            cancellationToken));
        return Open(updated);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await RequireForWriteAsync(operation, id, "identity:delete_credential", cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.Credentials, id, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, id);
                }
                change.State.Delete<Credential>(IdentityTables.Credentials, id);
                change.Revoke(RevocationSubject.Credential(id));
            },
            cancellationToken);
    }

    /// <summary>The credential of an access key, for checking a signature.</summary>
    internal async ValueTask<(Credential Record, Ec2Blob Blob)?> FindAccessKeyAsync(string access, CancellationToken cancellationToken)
    {
        if (access.Length is 0 or > 255)
        {
            return null;
        }
        var hash = Ec2Blob.IdOf(access);
        var credential = await FindAsync(hash, cancellationToken) is { Type: Credential.Ec2Type, AccessHash: null } first
            ? first
            : await directory.Store.FindAsync(IdentityTables.Credentials, "access", hash, cancellationToken);
        return credential is null ? null : (credential, Ec2Blob.Parse(Open(credential).Blob));
    }

    /// <summary>Nobody sees what belongs to another project than the one a delegated token is bound to.</summary>
    private static bool MaySee(OperationContext operation, Credential credential) =>
        (Policy.IsAdmin(operation) || credential.UserId == operation.UserId) &&
        (!IsDelegated(operation) || (credential.ProjectId is not null && credential.ProjectId == operation.ProjectId));

    /// <summary>A credential or a trust stands behind the token.</summary>
    private static bool IsDelegated(OperationContext operation) => operation.ApplicationCredentialId is not null || operation.IsRestricted;

    private static void Authorize(OperationContext operation, string userId, string? projectId, string action)
    {
        if (!Policy.IsAdmin(operation))
        {
            Policy.RequireSelf(operation, userId, action);
        }
        Policy.RequireUnrestricted(operation, action);
        // A key made with a delegated token is bound to what stands behind the token, and may serve its owner only.
        if (operation.ApplicationCredentialId is not null &&
            (projectId is null || projectId != operation.ProjectId || userId != operation.UserId || operation.AccessRules.Count > 0))
        {
            throw Faults.Forbidden(action);
        }
    }

    private static void CheckBlob(string blob)
    {
        if (Encoding.UTF8.GetByteCount(blob) > MaxBlobBytes)
        {
            throw Faults.Invalid("blob", $"at most {MaxBlobBytes} bytes are allowed");
        }
    }

    private byte[] Seal(string id, string blob) => key.Seal(Encoding.UTF8.GetBytes(blob), Ec2Blob.Context(id));

    private OpenCredential Open(Credential credential) =>
        new(credential, Encoding.UTF8.GetString(key.Open(credential.SealedBlob, Ec2Blob.Context(credential.Id))));

    private async ValueTask<Credential?> FindAsync(string id, CancellationToken cancellationToken) =>
        Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Credentials, id, cancellationToken) : null;

    private async Task<Credential> RequireForWriteAsync(OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var credential = await FindAsync(id, cancellationToken);
        if (credential is null || !MaySee(operation, credential))
        {
            Policy.RequireOwnProof(operation);
            throw Faults.NotFound(Kind, id);
        }
        Authorize(operation, credential.UserId, credential.ProjectId, action);
        return credential;
    }
}
