using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Compute.Placement;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Nodes;

internal sealed class HypervisorsGrpcService(NodeRegistry nodes, ComputeOptions options) : Wire.Hypervisors.HypervisorsBase
{
    public override async Task<Wire.Hypervisor> GetHypervisor(Wire.GetHypervisorRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("os_compute_api:os-hypervisors:show");
        await nodes.CatchUpAsync(context.CancellationToken);
        return ToWire(nodes.FindCandidate(request.Id) ?? throw Faults.NotFound("Hypervisor", request.Id));
    }

    public override async Task<Wire.ListHypervisorsResponse> ListHypervisors(Wire.ListHypervisorsRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("os_compute_api:os-hypervisors:list");
        await nodes.CatchUpAsync(context.CancellationToken);
        var page = Paging.Cut(
            nodes.Candidates().OrderBy(item => item.Node.HostName, StringComparer.Ordinal), item => item.Node.HostName, request.PageToken, request.PageSize);
        return new Wire.ListHypervisorsResponse { Hypervisors = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Hypervisor> SetHypervisorEnabled(Wire.SetHypervisorEnabledRequest request, ServerCallContext context)
    {
        await nodes.CatchUpAsync(context.CancellationToken);
        var candidate = nodes.FindCandidate(request.Id);
        var node = await nodes.SetEnabledAsync(
            context.GetOperation(), candidate?.Node.Id ?? request.Id, request.Enabled, request.Reason, context.CancellationToken);
        return ToWire(candidate! with { Node = node });
    }

    public override async Task<Wire.ListAvailabilityZonesResponse> ListAvailabilityZones(Wire.ListAvailabilityZonesRequest request, ServerCallContext context)
    {
        await nodes.CatchUpAsync(context.CancellationToken);
        var admin = context.GetOperation().IsAdmin;
        return new Wire.ListAvailabilityZonesResponse
        {
            Zones =
            {
                Zones(nodes, options).Select(zone => new Wire.AvailabilityZone
                {
                    Name = zone.Name, Available = zone.Available, Hypervisors = { admin ? zone.Nodes.Select(item => item.Node.HostName) : [] },
                }),
            },
        };
    }

    /// <summary>The zones that have nodes, and the one that nodes get when they name none.</summary>
    internal static IReadOnlyList<(string Name, bool Available, IReadOnlyList<Candidate> Nodes)> Zones(NodeRegistry nodes, ComputeOptions options) =>
    [
        .. nodes.Candidates().GroupBy(item => item.Node.AvailabilityZone).Select(zone => zone.Key).Append(options.AvailabilityZone).Distinct().Order(StringComparer.Ordinal)
            .Select(name =>
            {
                Candidate[] members = [.. nodes.Candidates().Where(item => item.Node.AvailabilityZone == name)];
                return (name, members.Length == 0 || members.Any(item => item.Up && item.Node.Enabled), (IReadOnlyList<Candidate>)members);
            }),
    ];

    private static Wire.Hypervisor ToWire(Candidate item) => new()
    {
        Id = item.Node.Uuid,
        Number = item.Node.Number,
        Name = item.Node.HostName,
        State = item.Up ? Wire.HypervisorState.Up : Wire.HypervisorState.Down,
        Enabled = item.Node.Enabled,
        DisabledReason = item.Node.DisabledReason,
        AvailabilityZone = item.Node.AvailabilityZone,
        Type = item.Node.HypervisorType,
        Version = $"{item.Node.HypervisorVersion}",
        Address = item.Node.HostIp,
        Vcpus = item.Node.Vcpus,
        VcpusUsed = item.Usage.Vcpus,
        MemoryMib = item.Node.MemoryMib,
        MemoryMibUsed = item.Usage.MemoryMib,
        DiskGib = item.Node.DiskGib,
        DiskGibUsed = item.Usage.DiskGib,
        Instances = item.Usage.Instances,
        Traits = { item.Node.Traits.ToDictionary() },
        ConnectedAt = item.Node.ConnectedAt.ToTimestamp(),
    };
}
