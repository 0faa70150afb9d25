using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Credentials;

internal sealed class CredentialsGrpcService(IStateStore store, CredentialService credentials) : Wire.Credentials.CredentialsBase
{
    public override async Task<Wire.Credential> CreateCredential(Wire.CreateCredentialRequest request, ServerCallContext context)
    {
        var asked = request.Credential ?? new Wire.Credential();
        var operation = context.GetOperation();
        var draft = (asked.UserId.NullIfEmpty() ?? operation.UserId, asked.ProjectId.NullIfEmpty(), asked.Type, asked.Blob);
        return ToWire(await credentials.CreateAsync(operation, draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Credential> GetCredential(Wire.GetCredentialRequest request, ServerCallContext context) =>
        ToWire(await credentials.GetAsync(context.GetOperation(), request.CredentialId, context.CancellationToken));

    public override async Task<Wire.ListCredentialsResponse> ListCredentials(Wire.ListCredentialsRequest request, ServerCallContext context)
    {
        var found = (await credentials.ListAsync(context.GetOperation(), request.UserId.NullIfEmpty(), context.CancellationToken))
            .Where(credential => request.Type.Length == 0 || credential.Record.Type == request.Type);
        var page = Paging.Cut(found, credential => credential.Record.Id, request.PageToken, request.PageSize);
        return new Wire.ListCredentialsResponse { Credentials = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Credential> UpdateCredential(Wire.UpdateCredentialRequest request, ServerCallContext context) =>
        ToWire(await credentials.UpdateAsync(
            context.GetOperation(), request.CredentialId, request.HasBlob ? request.Blob : null, request.ProjectId.NullIfEmpty(), context.CancellationToken));

    public override async Task<Empty> DeleteCredential(Wire.DeleteCredentialRequest request, ServerCallContext context)
    {
        await credentials.DeleteAsync(context.GetOperation(), request.CredentialId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchCredentials(
        Wire.WatchCredentialsRequest request, IServerStreamWriter<Wire.CredentialEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Credentials.Name,
            async () => (await credentials.ListAsync(context.GetOperation(), request.UserId.NullIfEmpty(), context.CancellationToken)).Select(ToWire),
            credential => credential.Id,
            credential => new Wire.CredentialEvent { Changed = credential },
            id => new Wire.CredentialEvent { Deleted = id },
            () => new Wire.CredentialEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.Credential ToWire(OpenCredential credential) => new()
    {
        Id = credential.Record.Id,
        UserId = credential.Record.UserId,
        ProjectId = credential.Record.ProjectId ?? "",
        Type = credential.Record.Type,
        Blob = credential.Blob,
    };
}
