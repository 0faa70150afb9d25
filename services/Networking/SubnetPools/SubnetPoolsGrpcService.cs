using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Addressing;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.SubnetPools;

internal sealed class SubnetPoolsGrpcService(SubnetPoolService pools, NetworkStore store, GrpcStreams streams)
    : Wire.SubnetPools.SubnetPoolsBase
{
    public override async Task<Wire.SubnetPool> CreateSubnetPool(Wire.CreateSubnetPoolRequest request, ServerCallContext context) =>
        (await pools.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken)).ToWire();

    public override async Task<Wire.SubnetPool> GetSubnetPool(Wire.GetSubnetPoolRequest request, ServerCallContext context) =>
        (await store.ViewAsync(context.CancellationToken)).SubnetPool(context.GetOperation(), request.SubnetPoolId).ToWire();

    public override async Task<Wire.ListSubnetPoolsResponse> ListSubnetPools(Wire.ListSubnetPoolsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), pool => pool.Id, request.PageToken, request.PageSize);
        return new Wire.ListSubnetPoolsResponse { SubnetPools = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.SubnetPool> UpdateSubnetPool(Wire.UpdateSubnetPoolRequest request, ServerCallContext context) =>
        (await pools.UpdateAsync(context.GetOperation(), request.SubnetPool?.Id ?? "", request.ToChanges(), context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteSubnetPool(Wire.DeleteSubnetPoolRequest request, ServerCallContext context)
    {
        await pools.DeleteAsync(context.GetOperation(), request.SubnetPoolId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchSubnetPools(
        Wire.WatchSubnetPoolsRequest request, IServerStreamWriter<Wire.SubnetPoolEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(pool => new Watched<Wire.SubnetPool>(pool.Id, new Sources(pool, null), pool.ToWire)),
            (revision, pool) => responseStream.WriteAsync(new Wire.SubnetPoolEvent { StoreRevision = revision, Changed = pool }),
            (revision, id) => responseStream.WriteAsync(new Wire.SubnetPoolEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.SubnetPoolEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<SubnetPool> Matching(NetworkView view, OperationContext operation, Wire.SubnetPoolFilter? filter) =>
        view.SubnetPools.Values.Where(pool => operation.Sees(pool) && (filter is null ||
            (filter.Ids.Allows(pool.Id) && filter.Names.Allows(pool.Name) && filter.ProjectIds.Allows(pool.ProjectId))));

    private static Wire.SubnetPool ToWire(SubnetPool pool) => pool.ToWire();
}

internal static class SubnetPoolMapping
{
    public static Wire.SubnetPool ToWire(this SubnetPool pool)
    {
        var wire = new Wire.SubnetPool
        {
            Id = pool.Id,
            ProjectId = pool.ProjectId,
            Name = pool.Name,
            Description = pool.Description,
            IpVersion = pool.IpVersion,
            Prefixes = { pool.Prefixes.Select(prefix => prefix.ToString()) },
            DefaultPrefixLength = pool.DefaultPrefixLength,
            MinPrefixLength = pool.MinPrefixLength,
            MaxPrefixLength = pool.MaxPrefixLength,
            Shared = pool.Shared,
            IsDefault = pool.IsDefault,
            AddressScopeId = pool.AddressScopeId ?? "",
            Tags = { pool.Tags },
            CreatedAt = pool.CreatedAt.ToWire(),
            UpdatedAt = pool.UpdatedAt.ToWire(),
            Revision = pool.Revision,
        };
        if (pool.DefaultQuota is { } quota)
        {
            wire.DefaultQuota = quota;
        }

        return wire;
    }

    public static NewSubnetPool ToNew(this Wire.CreateSubnetPoolRequest request) => new()
    {
        ProjectId = request.ProjectId,
        Name = request.Name,
        Description = request.Description,
        Prefixes = ToPrefixes(request.Prefixes),
        DefaultPrefixLength = request.DefaultPrefixLength == 0 ? null : request.DefaultPrefixLength,
        MinPrefixLength = request.MinPrefixLength == 0 ? null : request.MinPrefixLength,
        MaxPrefixLength = request.MaxPrefixLength == 0 ? null : request.MaxPrefixLength,
        Shared = request.Shared,
        IsDefault = request.IsDefault,
        DefaultQuota = request.HasDefaultQuota ? request.DefaultQuota : null,
        AddressScopeId = request.AddressScopeId.NullIfEmpty(),
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static SubnetPoolChanges ToChanges(this Wire.UpdateSubnetPoolRequest request)
    {
        var pool = request.SubnetPool ?? new Wire.SubnetPool();
        var paths = request.UpdateMask.Paths(
            "name", "description", "prefixes", "default_prefix_length", "min_prefix_length", "max_prefix_length", "is_default",
            "default_quota", "address_scope_id", "tags");
        return new SubnetPoolChanges
        {
            Name = paths.When("name", () => pool.Name),
            Description = paths.When("description", () => pool.Description),
            Prefixes = paths.When("prefixes", () => ToPrefixes(pool.Prefixes)),
            DefaultPrefixLength = paths.When("default_prefix_length", () => pool.DefaultPrefixLength),
            MinPrefixLength = paths.When("min_prefix_length", () => pool.MinPrefixLength),
            MaxPrefixLength = paths.When("max_prefix_length", () => pool.MaxPrefixLength),
            IsDefault = paths.When("is_default", () => pool.IsDefault),
            DefaultQuota = paths.When<long?>("default_quota", () => pool.HasDefaultQuota ? pool.DefaultQuota : null),
            AddressScopeId = paths.When("address_scope_id", () => pool.AddressScopeId.NullIfEmpty()),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. pool.Tags]),
        };
    }

    private static IReadOnlyList<Cidr> ToPrefixes(IEnumerable<string> prefixes) => [.. prefixes.Select(text => Checks.Block("prefixes", text))];
}
