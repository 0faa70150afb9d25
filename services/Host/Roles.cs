using Nephos.BlockStorage;
using Nephos.Compute;
using Nephos.Host.Gateway;
using Nephos.Host.Storage;
using Nephos.Hosting;
using Nephos.Hypervisor;
using Nephos.Identity;
using Nephos.Images;
using Nephos.Networking;
using Nephos.ObjectStorage;

namespace Nephos.Host;

/// <summary>The one list of roles; the command line and the Tiltfile read it.</summary>
internal static class Roles
{
    public static readonly Role[] All =
    [
        new("identity", b => b.AddIdentity(), a => a.MapIdentity()) { Sections = ["Identity"] },
        new("image", b => b.AddImages(), a => a.MapImages()) { Sections = ["Images"] },
        new("network", b => b.AddNetworking(), a => a.MapNetworking()) { Sections = ["Network"] },
        new("compute", b => b.AddCompute(), a => a.MapCompute()) { Sections = ["Compute"] },
        new("volume", b => { b.AddBlockFront(); b.AddBlockStorage(); }, a => { a.MapBlockStorage(); a.MapBlockFront(); }) { Sections = ["BlockStorage"] },
        new("storage", b => b.AddBlockStore(), a => a.MapBlockStore()) { Sections = ["BlockDevices"] },
        new("objectstore", b => b.AddObjectStore(), a => a.MapObjectStore()) { Sections = ["ObjectDevices"] },
        new("object", b => { b.AddObjectFront(); b.AddObjectStorage(); }, a => { a.MapObjectStorage(); a.MapObjectFront(); }) { Sections = ["ObjectDevices", "ObjectStorage"] },
        new("gateway", b => b.AddGateway(), a => a.MapGateway(), InAll: false),
        new("hypervisor", b => { b.AddBlockHeads(); b.AddHypervisor(); }, a => { a.MapHypervisor(); a.MapBlockHeads(); }) { Sections = ["Hypervisor", "NodeNetwork"] },
    ];
}
