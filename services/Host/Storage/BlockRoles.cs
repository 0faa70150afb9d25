using Microsoft.Extensions.DependencyInjection.Extensions;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Node.Block;
using Nephos.Node.Block.Cluster;
using Nephos.Node.Objects;

namespace Nephos.Host.Storage;

/// <summary>
/// The block devices of a process: its own where the role <c>storage</c> is, and the ways to those of others where volumes are managed or used. A
/// process with the roles <c>storage</c> and <c>volume</c> has all there are, unless it is told where to listen for others.
/// </summary>
internal static class BlockRoles
{
    private const string StoreRole = "storage", FrontRole = "volume";

    public static void AddBlockStore(this WebApplicationBuilder builder)
    {
        if (IsAlone(builder)) builder.AddBlockDevices();
        else Add(builder, hasDevices: true);
    }

    public static void AddBlockFront(this WebApplicationBuilder builder)
    {
        if (!builder.HasRole(StoreRole)) Add(builder, hasDevices: false);
    }

    /// <summary>Heads find the devices of others by the addresses that the volume role tells.</summary>
    public static void AddBlockHeads(this WebApplicationBuilder builder)
    {
        if (!builder.HasRole(StoreRole) && !builder.HasRole(FrontRole))
            builder.Services.AddSingleton<IReplicaConnector>(provider => new RemoteReplicas(TransportOf(provider)));
    }

    public static void MapBlockStore(this WebApplication app) => app.MapBlockDevices();

    public static void MapBlockFront(this WebApplication app)
    {
        if (!app.HasRole(StoreRole)) app.MapBlockDevices();
    }

    public static void MapBlockHeads(this WebApplication app)
    {
        if (!app.HasRole(StoreRole) && !app.HasRole(FrontRole)) app.MapVolumeHeads();
    }

    private static void Add(WebApplicationBuilder builder, bool hasDevices)
    {
        builder.Services.TryAddSingleton<IConfigurationMaster, StateConfigurationMaster>();
        var options = OptionsOf(builder);
        builder.AddBlockDevices(hasDevices, provider =>
        {
            var nephos = provider.GetRequiredService<NephosOptions>();
            return new BlockCluster(
                nephos.NodeName, TransportOf(provider), hasDevices ? options.AddressIn(nephos) : null, options.DevicesAtFirst);
        });
    }

    private static SocketTransport TransportOf(IServiceProvider provider) =>
        new(StorageKey.ReadOrCreate(provider.GetRequiredService<NephosOptions>().SecretsDirectory), provider.GetRequiredService<TimeProvider>());

    private static bool IsAlone(WebApplicationBuilder builder) => builder.HasRole(FrontRole) && OptionsOf(builder).Listen.Length == 0;

    private static BlockDevicesOptions OptionsOf(WebApplicationBuilder builder)
    {
        var options = new BlockDevicesOptions();
        builder.Configuration.GetSection(BlockDevicesOptions.Section).Bind(options);
        return options;
    }
}
