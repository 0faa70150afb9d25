using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Exports;

internal sealed class ExportsGrpcService(ExportService exports, ExportListeners listeners, TableCache<Export> cache) : Wire.Exports.ExportsBase
{
    public override async Task<Wire.CreateExportResponse> CreateExport(Wire.CreateExportRequest request, ServerCallContext context)
    {
        var wish = new ExportWish(
            request.HasSnapshotId ? request.SnapshotId : null, request.HasBackupId ? request.BackupId : null, request.Lifetime?.ToTimeSpan(), request.IdempotencyKey);
        var made = await exports.CreateAsync(context.GetOperation(), wish, context.CancellationToken);
        var response = new Wire.CreateExportResponse
        {
            Export = ToWire(made), ExportName = made.Name, Address = listeners.Address, SocketPath = listeners.SocketPath,
        };
        if (listeners.MakeCredentials(made) is var (authority, certificate, key))
            (response.AuthorityCertificate, response.ClientCertificate, response.ClientKey) = (authority, certificate, key);
        return response;
    }

    public override async Task<Wire.Export> GetExport(Wire.GetExportRequest request, ServerCallContext context) =>
        ToWire(await exports.GetAsync(context.GetOperation(), request.ExportId, context.CancellationToken));

    public override async Task<Wire.ListExportsResponse> ListExports(Wire.ListExportsRequest request, ServerCallContext context)
    {
        var all = await exports.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(export => export.Id, StringComparer.Ordinal), export => export.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListExportsResponse { NextPageToken = page.NextToken ?? "" };
        response.Exports.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Empty> DeleteExport(Wire.DeleteExportRequest request, ServerCallContext context)
    {
        await exports.DeleteAsync(context.GetOperation(), request.ExportId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchExports(Wire.WatchExportsRequest request, IServerStreamWriter<Wire.ExportEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = operation.ListedProject(request.AllProjects);
        return Watching.TellAsync(
            cache, export => project is null || export.ProjectId == project ? ToWire(export) : null,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.ExportEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.ExportEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.ExportEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);
    }

    private static Wire.Export ToWire(Export export)
    {
        var wire = new Wire.Export
        {
            Id = export.Id, ProjectId = export.ProjectId, SizeBytes = export.SizeBytes, CreatedAt = export.CreatedAt.ToTimestamp(), ExpiresAt = export.ExpiresAt.ToTimestamp(),
        };
        if (export.SnapshotId is { } snapshot) wire.SnapshotId = snapshot;
        else wire.BackupId = export.BackupId;
        return wire;
    }
}
