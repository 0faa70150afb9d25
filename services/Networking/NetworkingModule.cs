using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using Nephos.Networking.AddressGroups;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.AutoAllocation;
using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Grpc;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Quotas;
using Nephos.Networking.Rest;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;

namespace Nephos.Networking;

/// <summary>The Network service: gRPC services of <c>nephos.network.v1</c>, and the Networking API v2.0 under <c>/network</c>.</summary>
public static class NetworkingModule
{
    public static void AddNetworking(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddStateTables(typeof(NetworkingModule).Assembly);
        services.AddNephosOptions<NetworkingOptions>("Network");
        services.AddTables();
        services.AddDomain();
        services.AddSingleton<NetworksGrpcService>();
        services.AddSingleton<SubnetsGrpcService>();
        services.AddSingleton<SubnetPoolsGrpcService>();
        services.AddSingleton<PortsGrpcService>();
        services.AddSingleton<RoutersGrpcService>();
        services.AddSingleton<FloatingIpsGrpcService>();
        services.AddSingleton<SecurityGroupsGrpcService>();
        services.AddSingleton<QuotasGrpcService>();
        services.AddSingleton<RbacPoliciesGrpcService>();
        services.AddSingleton<FirewallsGrpcService>();
        services.AddSingleton<QosPoliciesGrpcService>();
        services.AddSingleton<AddressScopesGrpcService>();
        services.AddSingleton<AddressGroupsGrpcService>();
        services.AddSingleton<NodeNetworksGrpcService>();
        services.AddSingleton<NetworkAgentsGrpcService>();
        services.AddSingleton<GrpcStreams>();
    }

    public static void MapNetworking(this WebApplication app)
    {
        app.MapGrpcService<NetworksGrpcService>();
        app.MapGrpcService<SubnetsGrpcService>();
        app.MapGrpcService<SubnetPoolsGrpcService>();
        app.MapGrpcService<PortsGrpcService>();
        app.MapGrpcService<RoutersGrpcService>();
        app.MapGrpcService<FloatingIpsGrpcService>();
        app.MapGrpcService<SecurityGroupsGrpcService>();
        app.MapGrpcService<QuotasGrpcService>();
        app.MapGrpcService<RbacPoliciesGrpcService>();
        app.MapGrpcService<FirewallsGrpcService>();
        app.MapGrpcService<QosPoliciesGrpcService>();
        app.MapGrpcService<AddressScopesGrpcService>();
        app.MapGrpcService<AddressGroupsGrpcService>();
        app.MapGrpcService<NodeNetworksGrpcService>();
        app.MapGrpcService<NetworkAgentsGrpcService>();

        var rest = app.MapRest(new NetworkDialect());
        T Get<T>()
            where T : notnull => app.Services.GetRequiredService<T>();
        var store = Get<NetworkStore>();
        RootEndpoints.Map(rest);
        NetworkEndpoints.Map(rest, Get<NetworkService>(), store);
        IpAvailabilityEndpoints.Map(rest, store);
        SubnetEndpoints.Map(rest, Get<SubnetService>(), store);
        SubnetPoolEndpoints.Map(rest, Get<SubnetPoolService>(), store);
        PortEndpoints.Map(rest, Get<PortService>(), store);
        RouterEndpoints.Map(rest, Get<RouterService>(), store);
        FloatingIpEndpoints.Map(rest, Get<FloatingIpService>(), store);
        PortForwardingEndpoints.Map(rest, Get<PortForwardingService>(), store);
        SecurityGroupEndpoints.Map(rest, Get<SecurityGroupService>(), Get<DefaultGroups>(), store);
        AddressScopeEndpoints.Map(rest, Get<AddressScopeService>(), store);
        AddressGroupEndpoints.Map(rest, Get<AddressGroupService>(), store);
        QosEndpoints.Map(rest, Get<QosService>(), store);
        FirewallEndpoints.Map(rest, Get<FirewallRuleService>(), Get<FirewallPolicyService>(), Get<FirewallGroupService>(), store);
        AutoAllocationEndpoints.Map(rest, Get<AutoAllocationService>());
        RbacEndpoints.Map(rest, Get<RbacService>(), store);
        QuotaEndpoints.Map(rest, Get<QuotaService>());
        AgentEndpoints.Map(rest, store, Get<NetworkingOptions>(), Get<TimeProvider>());
    }

    /// <summary>What the service needs of the state store.</summary>
    internal static void AddTables(this IServiceCollection services)
    {
        services.AddTableCache(Tables.Networks);
        services.AddTableCache(Tables.Subnets);
        services.AddTableCache(Tables.SubnetPools);
        services.AddTableCache(Tables.Ports);
        services.AddTableCache(Tables.Routers);
        services.AddTableCache(Tables.RouterPlacements);
        services.AddTableCache(Tables.FloatingIps);
        services.AddTableCache(Tables.SecurityGroups);
        services.AddTableCache(Tables.AddressScopes);
        services.AddTableCache(Tables.AddressGroups);
        services.AddTableCache(Tables.QosPolicies);
        services.AddTableCache(Tables.FirewallRules);
        services.AddTableCache(Tables.FirewallPolicies);
        services.AddTableCache(Tables.FirewallGroups);
        services.AddTableCache(Tables.Nodes);
        services.AddTableCache(Tables.Wired);
        services.AddSingleton<NetworkTableCaches>();
        services.AddSingleton<NetworkStore>();
    }

    /// <summary>The services without their faces.</summary>
    internal static void AddDomain(this IServiceCollection services)
    {
        services.AddSingleton(_ => new Choice(RandomNumberGenerator.GetInt32(int.MaxValue)));
        services.AddSingleton<QuotaService>();
        services.AddSingleton<DefaultGroups>();
        services.AddSingleton<AddressAllocator>();
        services.AddSingleton<PortWriter>();
        services.AddSingleton<NetworkService>();
        services.AddSingleton<SubnetService>();
        services.AddSingleton<SubnetPoolService>();
        services.AddSingleton<PortService>();
        services.AddSingleton<RouterService>();
        services.AddSingleton<FloatingIpService>();
        services.AddSingleton<PortForwardingService>();
        services.AddSingleton<SecurityGroupService>();
        services.AddSingleton<RbacService>();
        services.AddSingleton<AutoAllocationService>();
        services.AddSingleton<FirewallRuleService>();
        services.AddSingleton<FirewallPolicyService>();
        services.AddSingleton<FirewallGroupService>();
        services.AddSingleton<QosService>();
        services.AddSingleton<AddressScopeService>();
        services.AddSingleton<AddressGroupService>();
        services.AddSingleton<NodeService>();
        services.AddReconciler<RouterPlacer>();
    }
}
