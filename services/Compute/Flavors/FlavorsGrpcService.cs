using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Flavors;

internal sealed class FlavorsGrpcService(IStateStore store, FlavorService flavors) : Wire.Flavors.FlavorsBase
{
    public override async Task<Wire.Flavor> CreateFlavor(Wire.CreateFlavorRequest request, ServerCallContext context) =>
        (await flavors.CreateAsync(context.GetOperation(), new Flavor
        {
            Id = request.Id,
            Name = request.Name,
            Description = request.Description.Length == 0 ? null : request.Description,
            Vcpus = request.Vcpus,
            MemoryMib = request.MemoryMib,
            RootGib = request.RootGib,
            EphemeralGib = request.EphemeralGib,
            SwapMib = request.SwapMib,
            RxtxFactor = request.RxtxFactor == 0 ? 1 : request.RxtxFactor,
            Public = request.Public,
            ExtraSpecs = request.ExtraSpecs.ToDictionary(),
            IdempotencyKey = request.IdempotencyKey.Length == 0 ? null : request.IdempotencyKey,
        }, context.CancellationToken)).ToWire();

    public override async Task<Wire.Flavor> GetFlavor(Wire.GetFlavorRequest request, ServerCallContext context) =>
        (await flavors.GetAsync(context.GetOperation(), request.Id, context.CancellationToken)).ToWire();

    public override async Task<Wire.ListFlavorsResponse> ListFlavors(Wire.ListFlavorsRequest request, ServerCallContext context)
    {
        var all = await flavors.ListAsync(context.GetOperation(), request.Visibility switch
        {
            Wire.FlavorVisibility.Public => FlavorVisibility.Public,
            Wire.FlavorVisibility.Private => FlavorVisibility.Private,
            Wire.FlavorVisibility.All => FlavorVisibility.All,
            _ => FlavorVisibility.Usable,
        }, context.CancellationToken);
        var page = Paging.Cut(
            all.Where(flavor => flavor.MemoryMib >= request.MinMemoryMib && flavor.RootGib >= request.MinRootGib), flavor => flavor.Id,
            request.PageToken, request.PageSize);
        return new Wire.ListFlavorsResponse { Flavors = { page.Items.Select(FlavorMapping.ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Flavor> UpdateFlavor(Wire.UpdateFlavorRequest request, ServerCallContext context) =>
        (await flavors.SetDescriptionAsync(
            context.GetOperation(), request.Id, request.Description.Length == 0 ? null : request.Description, context.CancellationToken)).ToWire();

    public override async Task<Wire.DeleteFlavorResponse> DeleteFlavor(Wire.DeleteFlavorRequest request, ServerCallContext context)
    {
        await flavors.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Wire.DeleteFlavorResponse();
    }

    public override async Task<Wire.Flavor> UpdateExtraSpecs(Wire.UpdateExtraSpecsRequest request, ServerCallContext context) =>
        (await flavors.UpdateExtraSpecsAsync(context.GetOperation(), request.Id, request.Set, request.Remove, context.CancellationToken)).ToWire();

    public override async Task<Wire.Flavor> AddFlavorAccess(Wire.FlavorAccessRequest request, ServerCallContext context) =>
        (await flavors.AddAccessAsync(context.GetOperation(), request.Id, request.ProjectId, context.CancellationToken)).ToWire();

    public override async Task<Wire.Flavor> RemoveFlavorAccess(Wire.FlavorAccessRequest request, ServerCallContext context) =>
        (await flavors.RemoveAccessAsync(context.GetOperation(), request.Id, request.ProjectId, context.CancellationToken)).ToWire();
    public override Task WatchFlavors(
        Wire.WatchFlavorsRequest request, IServerStreamWriter<Wire.FlavorEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            Flavor.Table.Name,
            async () => (await flavors.ListAsync(context.GetOperation(), FlavorVisibility.All, context.CancellationToken)).Select(FlavorMapping.ToWire),
            flavor => flavor.Id,
            flavor => new Wire.FlavorEvent { Changed = flavor },
            id => new Wire.FlavorEvent { Deleted = id },
            () => new Wire.FlavorEvent { Synchronized = true },
            context.CancellationToken);
}

internal static class FlavorMapping
{
    public static Wire.Flavor ToWire(this Flavor flavor) => new()
    {
        Id = flavor.Id,
        Name = flavor.Name,
        Description = flavor.Description ?? "",
        Vcpus = flavor.Vcpus,
        MemoryMib = flavor.MemoryMib,
        RootGib = flavor.RootGib,
        EphemeralGib = flavor.EphemeralGib,
        SwapMib = flavor.SwapMib,
        RxtxFactor = flavor.RxtxFactor,
        Public = flavor.Public,
        ExtraSpecs = { flavor.ExtraSpecs.ToDictionary() },
        ProjectIds = { flavor.ProjectIds },
        CreatedAt = flavor.CreatedAt.ToTimestamp(),
    };
}
