using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Transfers;

/// <summary>Transfers of volumes over gRPC.</summary>
internal sealed class TransfersGrpcService(TransferService transfers, TableCache<Transfer> cache) : Wire.VolumeTransfers.VolumeTransfersBase
{
    public override async Task<Wire.CreateTransferResponse> CreateTransfer(Wire.CreateTransferRequest request, ServerCallContext context)
    {
        var (transfer, key) = await transfers.CreateAsync(
            context.GetOperation(), request.VolumeId, request.Name, request.WithoutSnapshots, context.CancellationToken);
        return new Wire.CreateTransferResponse { Transfer = ToWire(transfer), AuthKey = key };
    }

    public override async Task<Wire.VolumeTransfer> GetTransfer(Wire.GetTransferRequest request, ServerCallContext context) =>
        ToWire(await transfers.GetAsync(context.GetOperation(), request.TransferId, context.CancellationToken));

    public override async Task<Wire.ListTransfersResponse> ListTransfers(Wire.ListTransfersRequest request, ServerCallContext context)
    {
        var all = await transfers.ListAsync(context.GetOperation(), request.AllProjects, context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(transfer => transfer.Id, StringComparer.Ordinal), transfer => transfer.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListTransfersResponse { NextPageToken = page.NextToken ?? "" };
        response.Transfers.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Empty> DeleteTransfer(Wire.DeleteTransferRequest request, ServerCallContext context)
    {
        await transfers.DeleteAsync(context.GetOperation(), request.TransferId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.VolumeTransfer> AcceptTransfer(Wire.AcceptTransferRequest request, ServerCallContext context) =>
        ToWire(await transfers.AcceptAsync(context.GetOperation(), request.TransferId, request.AuthKey, context.CancellationToken));

    public override Task WatchTransfers(Wire.WatchTransfersRequest request, IServerStreamWriter<Wire.TransferEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var project = operation.ListedProject(request.AllProjects);
        return Watching.TellAsync(
            cache, transfer => project is null || transfer.ProjectId == project ? ToWire(transfer) : null,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.TransferEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.TransferEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.TransferEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);
    }

    private static Wire.VolumeTransfer ToWire(Transfer transfer) => new()
    {
        Id = transfer.Id,
        VolumeId = transfer.VolumeId,
        Name = transfer.Name,
        SourceProjectId = transfer.ProjectId,
        DestinationProjectId = transfer.AcceptedBy ?? "",
        WithoutSnapshots = transfer.WithoutSnapshots,
        CreatedAt = transfer.CreatedAt.ToTimestamp(),
    };
}
