using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking;
using Nephos.Networking.Addressing;
using Nephos.Networking.AddressGroups;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.AutoAllocation;
using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Quotas;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.Networking;

/// <summary>The Network service over a store in memory, without its faces, and callers to use it.</summary>
public abstract class NetworkWorld : IAsyncLifetime
{
    private readonly List<IHostedService> _started = [];
    private ServiceProvider _services = null!;

    internal static OperationContext Admin { get; } = Caller("a0000000000000000000000000000000", "admin", "member");

    internal static OperationContext Alice { get; } = Caller("a1111111111111111111111111111111", "member");

    internal static OperationContext Bob { get; } = Caller("b2222222222222222222222222222222", "member");

    internal static OperationContext Service { get; } = Caller(null, "service") with { IsService = true };

    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    internal IStateStore State => Get<IStateStore>();

    internal NetworkStore Store => Get<NetworkStore>();

    internal NetworkService Networks => Get<NetworkService>();

    internal SubnetService Subnets => Get<SubnetService>();

    internal SubnetPoolService Pools => Get<SubnetPoolService>();

    internal PortService Ports => Get<PortService>();

    internal RouterService Routers => Get<RouterService>();

    internal RouterPlacer Placer => Get<RouterPlacer>();

    internal FloatingIpService FloatingIps => Get<FloatingIpService>();

    internal PortForwardingService Forwardings => Get<PortForwardingService>();

    internal AddressScopeService Scopes => Get<AddressScopeService>();

    internal AddressGroupService AddressGroups => Get<AddressGroupService>();

    internal FirewallRuleService Rules => Get<FirewallRuleService>();

    internal FirewallPolicyService Policies => Get<FirewallPolicyService>();

    internal FirewallGroupService FirewallGroups => Get<FirewallGroupService>();

    internal AutoAllocationService Topologies => Get<AutoAllocationService>();

    internal QosService Qos => Get<QosService>();

    internal RbacService Rbac => Get<RbacService>();

    internal SecurityGroupService Groups => Get<SecurityGroupService>();

    internal DefaultGroups Defaults => Get<DefaultGroups>();

    internal QuotaService Quotas => Get<QuotaService>();

    internal NodeService Nodes => Get<NodeService>();

    protected virtual NetworkQuotaOptions Quota => new();

    public async Task InitializeAsync()
    {
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        services.AddSingleton(new NetworkingOptions { Quota = Quota });
        services.AddSingleton(StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory }, Time, NullLoggerFactory.Instance));
        services.AddTables();
        services.AddDomain();
        services.Replace(ServiceDescriptor.Singleton(_ => new Choice(seed: 1)));
        _services = services.BuildServiceProvider();

        // Reconcilers do not run by themselves here: a test that needs a pass asks for it.
        foreach (var hosted in _services.GetServices<IHostedService>().Where(hosted => hosted is not Kernel.Reconciliation.Reconciler))
        {
            await hosted.StartAsync(None);
            _started.Add(hosted);
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var hosted in _started)
        {
            await hosted.StopAsync(None);
        }

        await _services.DisposeAsync();
    }

    internal static CancellationToken None => CancellationToken.None;

    internal static IpAddress Ip(string text) => IpAddress.Parse(text);

    internal static Cidr Net(string text) => Cidr.Parse(text);

    internal static OperationContext Caller(string? projectId, params string[] roles) => new()
    {
        RequestId = "req-0",
        UserId = "u",
        ProjectId = projectId,
        Roles = roles.ToFrozenSet(),
    };

    internal static async Task<FaultException> FailsAsync(ErrorReason reason, Func<Task> act)
    {
        var fault = await Assert.ThrowsAsync<FaultException>(act);
        Assert.Equal((reason, fault.Message), (fault.Reason, fault.Message));
        return fault;
    }

    internal Task<Network> NetworkAsync(OperationContext operation) => Networks.CreateAsync(operation, new NewNetwork { Name = "net" }, None);

    internal Task<Network> ExternalAsync(bool shared = false) => Networks.CreateAsync(
        Admin, new NewNetwork { Name = "outside", External = true, Shared = shared, PhysicalNetwork = "public" }, None);

    internal async Task<Subnet> SubnetAsync(OperationContext operation, Network network, string cidr, Func<NewSubnet, NewSubnet>? with = null)
    {
        var request = new NewSubnet { NetworkId = network.Id, Cidr = Net(cidr) };
        return (await Subnets.CreateAsync(operation, [with is null ? request : with(request)], None))[0];
    }

    internal Task<Port> PortAsync(OperationContext operation, Network network, Func<NewPort, NewPort>? with = null)
    {
        var request = new NewPort { NetworkId = network.Id };
        return Ports.CreateAsync(operation, with is null ? request : with(request), None);
    }

    /// <summary>A private network of Alice behind a router with its gateway on an external network.</summary>
    internal async Task<(Network Inside, Subnet Subnet, Network Outside, Router Router)> RoutedAsync()
    {
        var outside = await ExternalAsync();
        await SubnetAsync(Admin, outside, "203.0.113.0/24");
        var inside = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, inside, "10.0.0.0/24");
        var router = await Routers.CreateAsync(Alice, new NewRouter { Name = "r", Gateway = new NewGateway(outside.Id, null, null) }, None);
        await Routers.AddInterfaceAsync(Alice, router.Id, subnet.Id, null, None);
        return (inside, subnet, outside, router);
    }

    internal async Task<long> UsedAsync(OperationContext operation, string resource) =>
        (await Quotas.GetAsync(operation, operation.ProjectId!, defaults: false, None))[resource].Used;

    private T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();
}
