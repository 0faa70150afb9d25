using System.Text;
using System.Text.Json.Nodes;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.PolicyDocuments;

/// <summary>A document that tools keep in the directory for one another; nothing here reads it.</summary>
/// <param name="Type">A media type.</param>
internal sealed record PolicyDocument(string Id, string Blob, string Type, JsonObject Extra);

/// <summary>What administrators can do with policy documents.</summary>
internal sealed class PolicyDocumentService(DirectoryView directory, IdentityWrites writes)
{
    public const int MaxBlobBytes = 64 * 1024;

    private const string Kind = "policy";

    public async Task<PolicyDocument> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:get_policy");
        return (Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.PolicyDocuments, id, cancellationToken) : null) ??
            throw Faults.NotFound(Kind, id);
    }

    public ValueTask<IReadOnlyList<PolicyDocument>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:list_policies");
        return directory.Store.ListAsync(IdentityTables.PolicyDocuments, "", cancellationToken);
    }

    public async Task<PolicyDocument> CreateAsync(
        OperationContext operation, (string Blob, string Type, JsonObject? Extra) draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_policy");
        var made = new PolicyDocument(
            Ids.NewHex(), CheckBlob(draft.Blob), Names.Check(draft.Type, "type"), Names.CheckExtra(draft.Extra, Kind));
        return await writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.PolicyDocuments, id, cancellationToken),
            change =>
            {
                change.State.Insert(IdentityTables.PolicyDocuments, made);
                return Task.FromResult((made.Id, made));
            },
            cancellationToken);
    }

    /// <param name="operation">An administrator.</param>
    /// <param name="id">Which one.</param>
    /// <param name="blob">Null: as it is.</param>
    /// <param name="type">Null: as it is.</param>
    /// <param name="extra">Null: as they are.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task<PolicyDocument> UpdateAsync(
        OperationContext operation, string id, string? blob, string? type, JsonObject? extra, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_policy");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change, id, cancellationToken);
                var after = before with
                {
                    Blob = blob is null ? before.Blob : CheckBlob(blob),
                    Type = type is null ? before.Type : Names.Check(type, "type"),
                    Extra = extra is null ? before.Extra : Names.CheckExtra(Projects.ProjectService.Merge(before.Extra, extra), Kind),
                };
                change.State.Put(IdentityTables.PolicyDocuments, after);
                return after;
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_policy");
        await writes.RunAsync(
            async change =>
            {
                await RequireAsync(change, id, cancellationToken);
                change.State.Delete<PolicyDocument>(IdentityTables.PolicyDocuments, id);
            },
            cancellationToken);
    }

    private static string CheckBlob(string blob) => Encoding.UTF8.GetByteCount(blob) <= MaxBlobBytes
        ? blob
        : throw Faults.Invalid("blob", $"at most {MaxBlobBytes} bytes are allowed");

    private static async Task<PolicyDocument> RequireAsync(IdentityTransaction change, string id, CancellationToken cancellationToken) =>
        (Names.IsId(id) ? await change.State.GetAsync(IdentityTables.PolicyDocuments, id, cancellationToken) : null) ?? throw Faults.NotFound(Kind, id);
}
