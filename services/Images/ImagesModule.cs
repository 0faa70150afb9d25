using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.Rest;
using Nephos.Images.Blocks;
using Nephos.Images.Catalog;
using Nephos.Images.Data;
using Nephos.Images.Metadefs;
using Nephos.Images.Rest;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;
using ObjectStorage = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.Images;

/// <summary>The image role: what servers boot from, over gRPC and over the image REST API.</summary>
public static class ImagesModule
{
    public static void AddImages(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddStateTables(typeof(ImagesModule).Assembly);
        services.AddNephosOptions<ImagesOptions>("Images");
        services.AddNephosClient<ObjectStorage.Objects.ObjectsClient>("object");
        services.AddSingleton<IImageBlobs, ObjectStoreBlobs>();
        services.AddImagesCore();
    }

    public static void MapImages(this WebApplication app)
    {
        app.MapGrpcService<ImagesGrpcService>();
        app.MapGrpcService<ImageBlocksGrpcService>();
        app.MapGrpcService<MetadefsGrpcService>();
        ImagesRest.Map(app.MapRest(ImagesDialect.Instance));
    }

    /// <summary>Everything but the options, the seam to the object store and the edges.</summary>
    internal static IServiceCollection AddImagesCore(this IServiceCollection services)
    {
        services.AddTableCache(ImageTables.Images);
        services.AddSingleton<ImageService>();
        services.AddSingleton<MemberService>();
        services.AddSingleton<ImageUploads>();
        services.AddSingleton<ImageDownloads>();
        services.AddSingleton<MetadefService>();
        services.AddSingleton<MetadefsGrpcService>();
        services.AddSingleton<ImagesGrpcService>();
        services.AddSingleton<ImageBlocksGrpcService>();
        services.AddReconciler<ImageReconciler>();
        return services;
    }
}
